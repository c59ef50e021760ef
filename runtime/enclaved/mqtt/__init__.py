"""MQTT 5: what a transport is, the transports, the packets, and the development broker."""
