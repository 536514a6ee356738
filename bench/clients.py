"""Requests per second of a running server at 1 and at 16 clients: what joining requests into batches brings.

    dragoman serve &
    python bench/clients.py --url http://127.0.0.1:8080

Each client posts one sentence after another to /v1/translate, each sentence a little different, so that
nothing can be answered from a cache. Prints one JSON line for each number of clients, then the ratio.
"""

import argparse
import json
import statistics
import threading
import time
import urllib.request

SUBJECTS = ["The minister", "A spokesman", "The committee", "Her office", "The delegation", "The embassy"]
VERBS = [
    "said on Monday",
    "announced in Vienna",
    "denied last week",
    "told reporters",
    "confirmed in a letter",
]
CLAIMS = [
    "that talks about the border would go on in the spring.",
    "that the agreement with the neighbouring country had been signed.",
    "that no weapons would be sent before the summer.",
    "that the ambassador had been called back for consultations.",
]


def sentence(i: int) -> str:
    """The i-th of 120 sentences, numbered so that no two are the same."""
    parts = SUBJECTS[i % 6], VERBS[i // 6 % 5], CLAIMS[i // 30 % 4]
    return " ".join(parts)[:-1] + f", in statement number {i}."


def translate(url: str, text: str, target: str) -> None:
    body = json.dumps({"text": text, "source": "en", "target": target}).encode()
    request = urllib.request.Request(
        f"{url}/v1/translate", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=600) as response:
        assert json.load(response)["translation"]


def measure(url: str, clients: int, requests: int, target: str) -> dict[str, float]:
    """Run `requests` requests from `clients` threads; rate in requests a second, latencies in seconds."""
    todo = iter(range(requests))
    lock, latencies = threading.Lock(), []

    def work() -> None:
        while True:
            with lock:
                i = next(todo, None)
            if i is None:
                return
            start = time.perf_counter()
            translate(url, sentence(i), target)
            with lock:
                latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = requests / (time.perf_counter() - start)
    return {
        "clients": clients,
        "requests": requests,
        "requests_per_s": round(rate, 3),
        "median_latency_s": round(statistics.median(latencies), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--target", default="fr")
    parser.add_argument(
        "--requests", type=int, default=16, help="of one client; sixteen send six times as many"
    )
    options = parser.parse_args()
    measure(options.url, 2, 4, options.target)  # warm up
    one = measure(options.url, 1, options.requests, options.target)
    print(json.dumps(one), flush=True)
    many = measure(options.url, 16, 6 * options.requests, options.target)
    print(json.dumps(many))
    print(json.dumps({"ratio": round(many["requests_per_s"] / one["requests_per_s"], 2)}))


if __name__ == "__main__":
    main()
