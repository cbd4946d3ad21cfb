#!/usr/bin/env python3
"""Writes link/startup.order: the functions that a published build runs up to its first answer over stdio.

    cargo build --profile published --all-features
    python3 link/make_order.py target/published/haldir-mcp

Linux on x86_64. A breakpoint is put on every function of the program; each is taken away when it is met, and noted.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading

TRACE_ME, PEEK_USER, POKE_USER, CONTINUE, SET_OPTIONS = 0, 3, 6, 7, 0x4200
TRACE_CLONES, EXIT_KILL = 8, 0x100000
ALL_THREADS = 0x40000000
INSTRUCTION_POINTER = 16 * 8
SIGTRAP, SIGSTOP = 5, 19
BREAKPOINT = 0xCC
RUNS = 5

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def functions(program):
    """Offset and name of every function."""
    found = {}
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines()
    for address, kind, name in (line.split() for line in lines if len(line.split()) == 3):
        if kind in "tTwW":
            found.setdefault(int(address, 16), name)
    return found


def talk(requests, answers):
    """What a client says first."""
    def say(message):
        requests.write((json.dumps({"jsonrpc": "2.0", **message}) + "\n").encode())
        requests.flush()

    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "order", "version": "1"}}
    say({"id": 1, "method": "initialize", "params": client})
    answers.readline()
    say({"method": "notifications/initialized"})
    say({"id": 2, "method": "tools/list"})
    answers.readline()
    requests.close()


def start(program, database):
    """The program, stopped before its first instruction, and the ends of its pipes."""
    (its_input, requests), (answers, its_output) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(its_input, 0)
        os.dup2(its_output, 1)
        libc.ptrace(TRACE_ME, 0, None, None)
        os.execve(program, [program], {**os.environ, "HALDIR_DB": database})
    os.close(its_input)
    os.close(its_output)
    os.waitpid(child, 0)
    return child, os.fdopen(requests, "wb"), os.fdopen(answers, "rb")


def met(program, database, known):
    """Offsets of the functions that are met, in the order of their first call."""
    child, requests, answers = start(program, database)
    libc.ptrace(SET_OPTIONS, child, None, TRACE_CLONES | EXIT_KILL)
    with open(f"/proc/{child}/maps") as maps:
        areas = [(*(int(part, 16) for part in line.split()[0].split("-")), line.split()[1]) for line in maps]
    base = areas[0][0]
    low, high = next((low, high) for low, high, rights in areas if "x" in rights)
    memory = open(f"/proc/{child}/mem", "r+b", buffering=0)
    memory.seek(low)
    original = memory.read(high - low)
    changed = bytearray(original)
    waiting = {base + offset for offset in known if low <= base + offset < high}
    places = frozenset(waiting)
    for place in places:
        changed[place - low] = BREAKPOINT
    memory.seek(low)
    memory.write(changed)
    threading.Thread(target=talk, args=(requests, answers), daemon=True).start()
    libc.ptrace(CONTINUE, child, None, None)
    order = []
    while True:
        thread, status = os.waitpid(-1, ALL_THREADS)
        if not os.WIFSTOPPED(status):
            if thread == child:
                return order
            continue
        signal = os.WSTOPSIG(status)
        place = libc.ptrace(PEEK_USER, thread, INSTRUCTION_POINTER, None) - 1
        if signal == SIGTRAP and not status >> 16 and place in places:
            if place in waiting:
                waiting.remove(place)
                order.append(place - base)
                memory.seek(place)
                memory.write(original[place - low : place - low + 1])
            libc.ptrace(POKE_USER, thread, INSTRUCTION_POINTER, place)
            signal = 0
        libc.ptrace(CONTINUE, thread, None, 0 if signal in (SIGTRAP, SIGSTOP) else signal)


def order_of(program):
    """Names of the functions that a program meets, in the order of their first call."""
    known = functions(program)
    with tempfile.TemporaryDirectory() as folder:
        database = os.path.join(folder, "haldir.db")
        # The first start makes the store, the second finds it.
        met(program, database, {})
        # Threads meet some functions in one run and not in the next.
        order = dict.fromkeys(offset for _ in range(RUNS) for offset in met(program, database, known))
    print(f"{program}: {len(order)} of {len(known)} functions are met")
    return [known[offset] for offset in order]


def main():
    names = dict.fromkeys(name for program in sys.argv[1:] for name in order_of(os.path.abspath(program)))
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup.order")
    with open(target, "w") as file:
        file.writelines(name + "\n" for name in names)


main()
