"""Signs of life: that the loops move, how much waits, how well what is kept serves."""

from __future__ import annotations

from reconciler.engine.context import Context
from reconciler.engine.queue import KeyQueue
from reconciler.engine.reader import EngineReader
from reconciler.model.event import Event


async def beat(context: Context, reader: EngineReader, queue: KeyQueue, pause: float) -> None:
    """Tells of them until cancelled, `pause` seconds apart."""
    hits, misses, contents, emit = 0, 0, context.contents, context.sink.emit
    while True:
        beats = reader.beats
        beats["queue"], beats["watch"] = queue.heartbeat, context.observations.heartbeat
        for loop, moved in beats.items():
            emit(Event("heartbeat", fields={"loop": loop, "age": context.clock.monotonic() - moved}))
        emit(Event("queue", fields={"depth": queue.depth}))
        emit(Event("cache", fields={"cache": "contents", "hits": contents.hits - hits, "misses": contents.misses - misses}))
        hits, misses = contents.hits, contents.misses
        await context.clock.sleep(pause)
