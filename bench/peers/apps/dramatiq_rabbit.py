"""Dramatiq over RabbitMQ, results in Redis; worker by the command `dramatiq`."""

import os
from typing import Any

import dramatiq
from dramatiq import Middleware, pipeline
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one


class Recorded(Middleware):
    """Before `Results` in the list, so after it when a message is done."""

    def after_process_message(self, broker: Any, message: Any, **_: Any) -> None:
        marks().recorded(message.args[0])


# Without Prometheus and the checks of age and time, which this task does not use.
broker = RabbitmqBroker(url=os.environ["BENCH_BROKER"], middleware=[Recorded()])
broker.add_middleware(dramatiq.middleware.Retries())
broker.add_middleware(dramatiq.middleware.Pipelines())
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_REDIS"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True, queue_name="bench")
def noop(number: int, pad: str) -> None:
    marks().started(number)


class Sender:
    async def open(self) -> None:
        broker.declare_queue("bench", ensure=True)

    async def send(self, number: int) -> None:
        noop.send(number, PAD)

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        numbers = range(first, first + stages)
        pipeline(
            [noop.message_with_options(args=(n, PAD), pipe_ignore=True) for n in numbers]
        ).run()

    async def close(self) -> None:
        broker.close()
