"""The dataset: units as they come, read from the desk, and mapped by actors to results."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset, Datasource, ReadTask
from ray.data.block import BlockMetadata

from service.batch.lanes import LANES
from service.batch.ray.actors import Actors
from service.batch.ray.worker import Order, RayWorker


class UnitsDatasource(Datasource):  # type: ignore[misc]
    """One task, beside the driver, that reads the desk until it is closed: a block for each unit."""

    def __init__(self, desk: Any):
        super().__init__()
        self._desk = desk

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether any machine may read."""
        return False

    def estimate_inmemory_data_size(self) -> None:
        """Nobody knows."""

    def get_read_tasks(self, *_args: Any, **_options: Any) -> list[ReadTask]:
        """The one task."""
        desk = self._desk

        def read() -> Iterator[pa.Table]:
            place = 0
            while (unit := ray.get(desk.read.remote(place))) is not None:
                yield pa.Table.from_pylist([{"unit": unit}], UNITS)
                place += 1

        return [ReadTask(read, BlockMetadata(None, None, None, None), UNITS)]


UNITS = pa.schema([("unit", pa.large_binary())])


def results(desk: Any, order: Order, actors: Actors) -> Dataset:
    """The dataset, which is not started yet; see `RayWorker` for its rows."""
    context = DataContext.get_current()
    context.target_max_block_size = 1  # every row goes on at once, and alone
    context.execution_no_progress_timeout_s = -1  # an input may have nothing to do for hours
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []
    units = ray.data.read_datasource(UnitsDatasource(desk), override_num_blocks=1, num_cpus=0)
    return units.map_batches(
        RayWorker,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_args=(order, actors, desk),
        compute=ActorPoolStrategy(
            size=actors.count,
            max_tasks_in_flight_per_actor=LANES,
            max_concurrent_calls_per_actor=LANES,
            enable_true_multi_threading=True,
        ),
        num_cpus=actors.cpus,
        num_gpus=actors.gpus,
    )
