"""A function that attacks: its input names the attack and the targets."""

import json

import calls
import exhaustion
import files
import memory
import network
import processes
import protocol

GROUPS = {each.__name__: each for each in (calls, exhaustion, files, memory, network, processes, protocol)}
HONEST = b"an honest input"


def handle(payload):
    if payload == HONEST:
        return payload
    order = json.loads(payload)
    group, name = order["attack"].split(".")
    if group != "protocol":
        protocol.WATCHING.clear()
        protocol.WATCHER.join()  # some calls are refused to a process with threads
    return json.dumps(repr(getattr(GROUPS[group], name)(order["targets"]))).encode()
