"""Brings what a batch reads from addresses to this machine, and puts there what it has written."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from service.batch.remote import scheme_of, shown
from service.commands.batch_options import BatchOptions, check
from service.commands.session import Session, note

ROLES = ("out", "summary", "report")
"""In this order they are made ready; they are put at their addresses in the opposite one, so OUT is last."""


@contextmanager
def brought_here(session: Session, options: BatchOptions) -> Iterator[BatchOptions]:
    """Check the options; yield them with files of this machine for all that is at an address.

    What is written is put at its address at the end, unless an error comes out of the context.
    """
    there = {name: url for name in ROLES if (url := getattr(options, name)) and scheme_of(url)}
    is_remote = scheme_of(options.infile) is not None
    if not there and not is_remote:
        check(options)
        yield options
        return
    places = [options.infile, *there.values()]
    if twice := next((shown(url) for url in places if places.count(url) > 1), None):
        raise click.UsageError(f"{twice} is named twice")
    from service.batch.remote import staged

    batches = session.settings().cache_dir / "batches"
    with staged(batches, options.infile, options.out) as staging:
        here = replace(options, shown_out=shown(options.out))
        overwrite = options.overwrite or options.retry_failed
        for name, url in there.items():
            replaced = overwrite or name in ("summary", "report")
            place = staging.written(name, url, overwrite=replaced, check=not options.dry_run)
            here = replace(here, **{name: str(place)})  # type: ignore[arg-type]  # all three are strings
        check(here)
        if is_remote:
            note(f"fetching {shown(options.infile)}")
            with session.fetching("fetching IN") as hears:
                place = staging.fetched(options.infile, hears)
            if place.is_dir() and options.input_format is not None:
                raise click.BadParameter(f"{shown(options.infile)} is a folder", param_hint="IN")
            here = replace(here, infile=str(place))
        yield here
        if not options.dry_run:
            with session.waiting("putting up what is written"):
                staging.put()
            staging.clear()
