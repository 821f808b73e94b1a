"""Writes record batches with pyarrow, from threads, as often as it is told to.

Arguments: INPUT (an Arrow stream with the batches), OUTPUT (a path, or - to count bytes only), THREADS, CODEC (raw,
lz4, or zstd:LEVEL). For each line on standard input, a number of batches, writes a whole new output of so many and
answers with an empty line.
"""

import sys
import threading

import pyarrow as pa


def main() -> None:
    source, output, threads, codec = sys.argv[1:]
    with pa.ipc.open_stream(source) as reader:
        batches = list(reader)
    # Where one thread is asked for, pyarrow's own must not compress the buffers of a batch beside it.
    options = pa.ipc.IpcWriteOptions(compression=compression(codec), use_threads=int(threads) > 1)
    for line in sys.stdin:
        write(batches, int(line), output, int(threads), options)
        print(flush=True)


def compression(codec: str) -> pa.Codec | None:
    name, _, level = codec.partition(":")
    return None if name == "raw" else pa.Codec(name, compression_level=int(level) if level else None)


def write(batches: list, count: int, output: str, threads: int, options: pa.ipc.IpcWriteOptions) -> None:
    sink = pa.MockOutputStream() if output == "-" else pa.OSFile(output, "wb")
    with sink, pa.ipc.new_file(sink, batches[0].schema, options=options) as writer:
        lock = threading.Lock()

        def work(first: int) -> None:
            for index in range(first, count, threads):
                with lock:
                    writer.write_batch(batches[index % len(batches)])

        workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    main()
