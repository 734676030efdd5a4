"""Checks a log exported by Porchlight. Written from docs/log-format.md alone; standard library only.

    python3 verify.py EXPORT [--head SEQ:HASH] [--after SEQ:HASH]

Prints "whole SEQ:HASH" and exits with 0, or "entry SEQ: what is wrong" and exits with 1.
"""

import argparse
import hashlib
import json
import re
import sys

MEMBERS = ["actor", "at", "clock", "data", "log", "monotonicMs", "sealed", "seq", "subject", "type"]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EMPTIED = re.compile(rb'\{"hash":"([0-9a-f]{64})","seq":([1-9][0-9]*)\}')
ENTRY_BYTES_MAX = 917_504
ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


class Wrong(Exception):
    """What is wrong with a line."""


def number(value):
    """A number as ECMAScript writes it (Number::toString)."""
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    value = float(value)
    if value == 0:
        return "0"
    if value != value or value in (float("inf"), float("-inf")):
        raise Wrong("a number is not finite")
    sign = "-" if value < 0 else ""
    mantissa, exponent = f"{abs(value)!r}".split("e") if "e" in repr(value) else (repr(abs(value)), 0)
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent)
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    shown = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def string(value):
    value.encode("utf-8")  # fails on a lone surrogate
    return '"' + "".join(
        ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value
    ) + '"'


def canonical(value):
    """RFC 8785."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{string(name)}:{canonical(value[name])}" for name in names) + "}"
    return number(value)


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def read(line):
    """The entry of a line that is canonical and has the right members."""
    try:
        entry = json.loads(line.decode("utf-8"))
        exact = canonical(entry).encode("utf-8") == line
    except (ValueError, RecursionError) as error:
        raise Wrong(f"not JSON in UTF-8: {error}") from error
    if not exact:
        raise Wrong("not canonical JSON")
    if not isinstance(entry, dict) or sorted(entry) != MEMBERS:
        raise Wrong("not the ten members of an entry")
    text = lambda name, pattern: isinstance(entry[name], str) and re.fullmatch(pattern, entry[name])
    sealed, subject = entry["sealed"], entry["subject"]
    sound = (
        len(line) <= ENTRY_BYTES_MAX
        and text("actor", r"device|(cli|central):[^\s:\x00-\x1f\x7f-\x9f]{1,64}")
        and is_whole(entry["at"])
        and entry["clock"] in ("synced", "unsynced")
        and isinstance(entry["data"], dict)
        and text("log", UUID)
        and is_whole(entry["monotonicMs"])
        and entry["monotonicMs"] >= 0
        and (sealed is None or (isinstance(sealed, dict) and sealed.keys() <= {"profile", "biometric", "media"}))
        and (subject is None or text("subject", UUID))
        and (sealed is None or subject is not None)
        and is_whole(entry["seq"])
        and text("type", r"[a-z]+(\.[a-z]+)+")
    )
    if not sound:
        raise Wrong("a member has a wrong value")
    return entry


def runs(data, own):
    """The runs that a buffer.shed explains: none where its figures do not agree."""
    low, high, count = data.get("from"), data.get("to"), data.get("count")
    ranges = data.get("ranges", [[low, high]])
    if not isinstance(ranges, list) or not all(isinstance(run, list) and len(run) == 2 for run in ranges):
        return []
    ends = [end for run in ranges for end in run]
    if not ends or not all(is_whole(value) for value in [low, high, count, *ends]):
        return []
    ordered = all(first <= last for first, last in ranges) and all(
        before[1] < after[0] for before, after in zip(ranges, ranges[1:])
    )
    named = sum(last - first + 1 for first, last in ranges)
    agrees = named == count and ends[0] == low >= 1 and ends[-1] == high < own
    return [tuple(run) for run in ranges] if ordered and agrees else []


def explained(seq, sheds):
    return any(low <= seq <= high for low, high in sheds)


def place(text):
    seq, value = text.split(":")
    return int(seq), value


def verify(lines, start, head):
    """Returns the head, or raises Wrong with the first bad entry in front."""
    seq, digest = start
    log, emptied, sheds = None, [], []
    for line in lines:
        seq += 1
        try:
            if not line.endswith(b"\n"):
                raise Wrong("the line has no end")
            line = line[:-1]
            given = EMPTIED.fullmatch(line)
            entry = None if given else read(line)
            own = int(given[2]) if given else entry["seq"]
            if own != seq:
                raise Wrong(f"entry {own} stands in its place")
            if given:
                digest = given[1].decode()
                emptied.append(seq)
            else:
                digest = hashlib.sha256(bytes.fromhex(digest) + line).hexdigest()
                log = log or entry["log"]
                if entry["log"] != log:
                    raise Wrong("it is of another log")
                if seq == 1 and (entry["type"] != "store.opened" or entry["data"].get("format") != 1):
                    raise Wrong("it does not open a store of format 1")
                if entry["type"] == "buffer.shed":
                    sheds.extend(runs(entry["data"], seq))
            if head and head[0] == seq and head[1] != digest:
                raise Wrong("the head that was noted is another")
        except Wrong as wrong:
            raise Wrong(f"entry {seq}: {wrong}") from wrong
    for each in emptied:
        if not explained(each, sheds):
            raise Wrong(f"entry {each}: emptied, and no later entry says so")
    if head and head[0] > seq:
        raise Wrong(f"entry {seq + 1}: missing, {head[0]} were noted")
    return seq, digest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("export")
    parser.add_argument("--head", type=place)
    parser.add_argument("--after", type=place, default=(0, "00" * 32))
    options = parser.parse_args()
    try:
        with open(options.export, "rb") as lines:
            seq, digest = verify(lines, options.after, options.head)
    except Wrong as wrong:
        print(wrong)
        sys.exit(1)
    print(f"whole {seq}:{digest}")


main()
