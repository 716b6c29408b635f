"""The server under load: 16 clients that send 500 clips of 3 s as fast as they are answered."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from http_server import serving, speech

CLIENTS, CLIPS = 16, 500


def test_sixteen_clients_lose_none_of_500_clips_and_memory_stays():
    clip = speech(3)
    with serving() as server, httpx.Client(timeout=120) as client:

        def answered(_: int) -> tuple[float, str]:
            started = time.perf_counter()
            response = client.post(f"{server.url}/predict", files={"file": ("a.wav", clip)})
            return time.perf_counter() - started, response.text

        def round_of(clips: int) -> list[tuple[float, str]]:
            with ThreadPoolExecutor(CLIENTS) as clients:
                return list(clients.map(answered, range(clips)))

        idle = server.memory()
        wanted = round_of(2 * CLIENTS)[0][1]
        before, started = server.memory(), time.perf_counter()
        seconds, answers = zip(*round_of(CLIPS), strict=True)
        took, after = time.perf_counter() - started, server.memory()
    p50, p99 = np.percentile(seconds, [50, 99])
    print(
        f"\n{CLIPS} clips of 3 s by {CLIENTS} clients: {CLIPS / took:.1f} requests/s, "
        f"p50 {p50:.2f} s, p99 {p99:.2f} s; "
        f"memory {idle:.0f} MB idle, {before:.0f} MB warm, {after:.0f} MB after"
    )
    assert set(answers) == {wanted} and '"emotion"' in wanted
    assert after < before + 50
