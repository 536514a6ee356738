"""`batch_runtime` with what addresses need, imported before the first fork; uploads are in small parts."""

import aiohttp  # noqa: F401
import batch_runtime
import s3fs.core

PART_BYTES = 20_000

if __name__ == "__main__":
    s3fs.core.calculate_chunksize = lambda _size, chunksize=None: PART_BYTES
    batch_runtime.main()
