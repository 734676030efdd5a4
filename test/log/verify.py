"""Verifies an exported log. Written from docs/log-format.md alone; standard library only.

Usage: verify.py <file>. Prints "<entries> <head>" and exits 0, or names the first fault and exits 1.
"""
import hashlib
import json
import sys
from decimal import Decimal

KEYS = "actor at clock data log monotonicMs sealed seq subject type".split()


class Fault(Exception):
    pass


def canonical(value):
    """RFC 8785 for what our keys and numbers can be; floats are printed as ECMAScript does."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(k)}:{canonical(v)}" for k, v in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(each) for each in value) + "]"
    if isinstance(value, float) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value):
    """Shortest digits as Python finds them, written as ECMAScript writes them (RFC 8785, 3.2.2.3)."""
    text = repr(value)
    exponent = int(text.split("e")[1]) if "e" in text else 0
    if -7 < exponent < 21:
        plain = format(Decimal(text), "f")
        return plain.removesuffix(".0")
    return f"{text.split('e')[0]}e{exponent:+d}"


def verify(lines):
    head, log, emptied, sheds = bytes(32), None, [], []
    for seq, line in enumerate(lines, start=1):
        entry = json.loads(line)
        if canonical(entry) != line.decode("utf-8"):
            raise Fault(f"entry {seq}: not canonical")
        if entry.get("seq") != seq:
            raise Fault(f"entry {seq}: seq {entry.get('seq')} stands in its place")
        if sorted(entry) == ["hash", "seq"]:
            head = bytes.fromhex(entry["hash"])
            emptied.append(seq)
            continue
        if sorted(entry) != KEYS:
            raise Fault(f"entry {seq}: other keys than an entry's")
        log = log or entry["log"]
        if entry["log"] != log:
            raise Fault(f"entry {seq}: of another log")
        if entry["type"] == "buffer.shed":
            data = entry["data"]
            sheds.append((data["from"], min(data["to"], seq - 1)))
        head = hashlib.sha256(head + line).digest()
    for seq in emptied:
        if not any(first <= seq <= last for first, last in sheds):
            raise Fault(f"entry {seq}: emptied, and no later entry says so")
    return len(lines), head.hex()


try:
    content = open(sys.argv[1], "rb").read()
    print(*verify(content.removesuffix(b"\n").split(b"\n")))
except Fault as fault:
    sys.exit(str(fault))
