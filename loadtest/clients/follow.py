#!/usr/bin/env python3
"""Follows one channel of the native protocol and checks its promises.

A second opinion beside `loadtest follow`: another language, another WebSocket library (python3-websockets 10.4 or
newer) and nothing shared with either side. It checks the bare ack, one snapshot, an unbroken prev_seq -> seq chain,
dense trade ids or announced gaps, and at the end the rebuilt book against a fresh subscriber's at the same sequence.

Prints a JSON summary. Exit codes: 0 kept, 1 violated or failed, 2 wrong usage. Loopback only.
"""

import argparse
import asyncio
import ipaddress
import json
import os
import re
import sys
import time
from decimal import Decimal
from urllib.parse import urlsplit

import websockets

MEETING_SECONDS = 10
VIOLATIONS_KEPT_MAX = 20
CANONICAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")


class Follower:
    """Judges one subscription, message by message, in order of receipt."""

    def __init__(self, channel):
        self.channel = channel
        self.symbol, _, view = channel.partition("@")
        self.has_book = not view or view.startswith("depth")
        self.has_trades = not view or view == "trade"
        self.top_only = re.match(r"depth[0-9]", view) is not None
        self.acked = self.live = False
        self.book = {"bids": {}, "asks": {}}
        self.depth = None
        self.seq = 0
        self.in_auction = False  # as the last status said: orders gather without trading
        self.trade_id = None
        self.counts = dict.fromkeys(("messages", "snapshots", "updates", "trades", "gaps", "other", "violations"), 0)
        self.violations = []

    def violate(self, text):
        self.counts["violations"] += 1
        if len(self.violations) < VIOLATIONS_KEPT_MAX:
            self.violations.append(text)

    def expect(self, holds, otherwise):
        if not holds:
            self.violate(otherwise)

    def apply(self, text):
        self.counts["messages"] += 1
        try:
            self.dispatch(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            self.violate(f"malformed ({error!r}): {text[:200]}")

    def dispatch(self, message):
        kind = message["type"]
        if not self.acked:
            self.acked = True
            self.live = not self.has_book
            ack = {"type": "subscription_ack", "channel": self.channel}
            self.expect(message == ack, f"first message is not the bare ack: {json.dumps(message)[:200]}")
            if kind == "subscription_ack":
                return
        handler = {
            "depth_snapshot": self.snapshot,
            "depth_update": self.update,
            "trade": self.trade,
            "gap": self.gap,
            "status": self.status,
        }.get(kind)
        if handler is None:
            self.counts["other"] += 1
            self.expect(kind != "error", f"server error: {json.dumps(message)[:200]}")
            self.expect(kind not in ("subscription_ack", "bbo", "ticker", "kline", "heartbeat"), f"{kind} was not asked for")
            return
        self.expect(message.get("channel") == self.symbol, f"message of another channel: {message.get('channel')}")
        self.expect(self.live or kind in ("depth_snapshot", "gap", "status"), f"{kind} before the snapshot")
        handler(message["data"])

    def snapshot(self, data):
        seq = integer(data["seq"])
        self.expect(self.has_book, "depth_snapshot was not asked for")
        self.expect(seq >= self.seq, f"at seq {self.seq}, got an older snapshot {seq}")
        self.counts["snapshots"] += 1
        self.live, self.seq, self.depth = True, seq, data.get("depth")
        self.book = {"bids": {}, "asks": {}}
        self.set_levels(data)
        levels = len(self.book["bids"]) + len(self.book["asks"])
        self.expect(levels == len(data["bids"]) + len(data["asks"]), f"snapshot {seq} has an empty level or a price twice")

    def update(self, data):
        prev_seq, seq = integer(data["prev_seq"]), integer(data["seq"])
        self.expect(self.has_book and not self.top_only, "depth_update was not asked for")
        self.counts["updates"] += 1
        if seq <= self.seq:
            return self.violate(f"at seq {self.seq}, got an update to {seq} again")
        self.expect(prev_seq == self.seq, f"at seq {self.seq}, got an update {prev_seq} -> {seq}")
        self.seq = seq
        self.set_levels(data)

    def set_levels(self, data):
        for side, levels in self.book.items():
            for price, quantity in data[side]:
                price, quantity = exact(price), exact(quantity)
                if quantity:
                    levels[price] = quantity
                else:
                    levels.pop(price, None)
        bids, asks = self.book["bids"], self.book["asks"]
        if bids and asks:
            bid, ask = max(bids), min(asks)
            self.expect(bid < ask or self.in_auction, f"book crossed at seq {self.seq}: bid {bid}, ask {ask}")

    def trade(self, data):
        trade_id, last = integer(data["trade_id"]), self.trade_id
        self.expect(self.has_trades, "trade was not asked for")
        self.expect(exact(data["price"]) and exact(data["quantity"]), f"trade {trade_id} of nothing")
        self.expect(data["side"] in ("buy", "sell"), f"trade {trade_id} has side {data['side']}")
        self.counts["trades"] += 1
        if last is not None:
            self.expect(trade_id > last, f"after trade {last} came {trade_id} again")
            self.expect(trade_id <= last + 1, f"after trade {last} came {trade_id} without a gap message")
        self.trade_id = trade_id

    def status(self, data):
        self.counts["other"] += 1
        self.in_auction = data["state"] == "auction"

    def gap(self, data):
        first, last = integer(data["from"]), integer(data["to"])
        self.expect(data["stream"] == "trade" and self.has_trades, f"gap of {data['stream']}")
        self.counts["gaps"] += 1
        expected = first if self.trade_id is None else self.trade_id + 1
        self.expect(first == expected and last >= first, f"last trade {self.trade_id}, but the gap names {first}..={last}")
        self.trade_id = last

    def compare(self, fresh):
        if self.seq != fresh.seq:
            return self.violate(f"follower at seq {self.seq} and fresh subscriber at {fresh.seq} never met")
        depth = fresh.depth or self.depth
        for side, best_first in (("bids", True), ("asks", False)):
            ours, theirs = (sorted(f.book[side].items(), reverse=best_first)[:depth] for f in (self, fresh))
            for mine, other in zip(ours + [None] * len(theirs), theirs + [None] * len(ours)):
                if mine != other:
                    mine, other = (level and "{1} @ {0}".format(*level) for level in (mine, other))
                    self.violate(f"book differs at seq {self.seq}, {side}: rebuilt {mine}, snapshot {other}")
                    break


def exact(text):
    if not isinstance(text, str) or not CANONICAL.fullmatch(text):
        raise ValueError(f"decimal not in canonical form: {text!r}")
    return Decimal(text)


def integer(value):
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"not an integer below 2^53: {value!r}")
    return value


class Subscription:
    """A follower and the socket it listens to."""

    def __init__(self, arguments, compression):
        self.arguments = arguments
        self.compression = None if compression == "none" else compression
        self.follower = Follower(arguments.channel)
        self.closed = False

    async def __aenter__(self):
        # The verdict is in when we close; a server that does not answer the close must not hold it up.
        self.socket = await websockets.connect(
            self.arguments.url, max_size=64 << 20, compression=self.compression, close_timeout=1
        )
        await self.socket.send(json.dumps({"action": "subscribe", "channel": self.arguments.channel}))
        return self

    def extensions(self):
        """The names of what was negotiated; newer versions of the library keep it one step further in."""
        protocol = self.socket if hasattr(self.socket, "extensions") else self.socket.protocol
        return [extension.name for extension in protocol.extensions]

    async def __aexit__(self, *_):
        await self.socket.close()

    async def step(self, seconds):
        """Takes one message; False if none came in time or none will."""
        try:
            self.follower.apply(await asyncio.wait_for(self.socket.recv(), seconds))
            return True
        except asyncio.TimeoutError:
            return False
        except websockets.exceptions.ConnectionClosed as closed:
            self.closed = True
            self.follower.violate(f"connection closed: {closed}")
            return False

    async def until_live(self, deadline):
        while not (self.follower.acked and self.follower.live):
            if not await self.step(max(0.0, deadline - time.monotonic())):
                return self.follower.violate("waited in vain for ack and snapshot")


async def meet(one, other):
    """Reads on at the one behind until both are at the same sequence."""
    deadline = time.monotonic() + MEETING_SECONDS
    await other.until_live(deadline)
    while one.follower.seq != other.follower.seq:
        behind = one if one.follower.seq < other.follower.seq else other
        if not await behind.step(max(0.0, deadline - time.monotonic())):
            break
    one.follower.compare(other.follower)
    for violation in other.follower.violations:
        one.follower.violate(f"fresh subscriber: {violation}")


async def follow(arguments):
    start = time.monotonic()
    end = start + arguments.seconds
    async with Subscription(arguments, arguments.compression) as subscription:
        follower, idle, extensions = subscription.follower, False, subscription.extensions()
        while not idle and not subscription.closed and time.monotonic() < end:
            seconds = min(arguments.until_idle_ms / 1000, max(0.0, end - time.monotonic()))
            idle = not await subscription.step(seconds) and not subscription.closed
        follower.expect(follower.acked and follower.live, "the subscription never became live")
        if follower.has_book and not subscription.closed:
            # Compressed or not, it must be the same book.
            async with Subscription(arguments, "none") as fresh:
                await meet(subscription, fresh)
    return {
        "client": f"websockets {websockets.__version__}",
        "extensions": extensions,
        "channel": arguments.channel,
        "ok": not follower.violations,
        "seconds": round(time.monotonic() - start, 3),
        "idle": idle,
        "seq": follower.seq,
        "trade_id_last": follower.trade_id,
        "levels": sum(map(len, follower.book.values())),
        **{name: count for name, count in follower.counts.items() if name != "violations"},
        "violation_count": follower.counts["violations"],
        "violations": follower.violations,
    }


def loopback(url):
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    try:
        if parts.scheme == "ws" and ipaddress.ip_address(host).is_loopback:
            return url
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("only ws:// to loopback is allowed (127.0.0.0/8, ::1, localhost)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", type=loopback, default="ws://127.0.0.1:9001/ws")
    parser.add_argument("--channel", default="BTC-USDT")
    parser.add_argument("--until-idle-ms", type=int, default=1000, help="silence that ends the run")
    parser.add_argument("--seconds", type=float, default=60, help="end of the run even without silence")
    parser.add_argument("--compression", choices=("deflate", "none"), default="deflate", help="what to offer")
    arguments = parser.parse_args()
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # newer websockets would ask a proxy for loopback
    try:
        summary = asyncio.run(follow(arguments))
    except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException) as error:
        summary = {"channel": arguments.channel, "ok": False, "violation_count": 1, "violations": [repr(error)]}
    print(json.dumps(summary, indent=2))
    sys.exit(0 if summary["ok"] else 1)


if __name__ == "__main__":
    main()
