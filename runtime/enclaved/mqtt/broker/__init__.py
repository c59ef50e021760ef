"""The parts of the development broker: rules without input or output."""
