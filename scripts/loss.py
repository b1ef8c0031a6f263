"""Gathers the speech for the loss benchmark, and judges what was heard of it.

PESQ (ITU-T P.862 with the narrowband mapping of P.862.1) is about 4.5 at best and 1 at worst; STOI says what part is understood, 1 at
best. Both are taken over pieces of eight seconds, each against the same piece of what was spoken.
"""

import os
import sys
import wave
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# One process for each processor is enough.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from pesq import pesq
from pystoi import stoi

RATE = 8000
PIECE = 8 * RATE
# The first piece is left out: nothing has been learnt about the path by then.
LEARNING = 1
LONGEST_DELAY = RATE // 20
PROMPTS = ["demo-instruct", "demo-congrats"]


def read(path):
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2), path
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")


def speech(package, target):
    found = {path.stem: path for path in Path(package).rglob("*.wav")}
    samples = np.concatenate([read(found[name]) for name in PROMPTS])
    samples = samples[: len(samples) // PIECE * PIECE]
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        sound.writeframes(samples.tobytes())


def delay(spoken, heard):
    """What the codecs hold back, in samples: where both fit best."""
    length = len(spoken) - LONGEST_DELAY
    a, b = spoken[:length].astype(float), heard.astype(float)
    return max(range(LONGEST_DELAY), key=lambda lag: float(np.dot(a, b[lag : lag + length])))


def score(job):
    spoken, path = job
    spoken, heard = read(spoken), read(path)
    lag = delay(spoken, heard)
    pieces = range(LEARNING * PIECE, len(spoken) - PIECE - lag + 1, PIECE)
    pairs = [(spoken[at : at + PIECE], heard[at + lag : at + lag + PIECE]) for at in pieces]
    return (
        np.mean([pesq(RATE, a, b, "nb") for a, b in pairs]),
        np.mean([stoi(a.astype(float), b.astype(float), RATE) for a, b in pairs]),
    )


def judge(spoken, directory):
    rows = [line.split("\t") for line in (Path(directory) / "heard.tsv").read_text().splitlines()]
    with ProcessPoolExecutor() as pool:
        scores = list(pool.map(score, [(spoken, Path(directory) / row[3]) for row in rows]))
    tables = defaultdict(lambda: defaultdict(list))
    for (way, trouble, done, _, buffer, bits), (quality, understood) in zip(rows, scores, strict=True):
        tables[way][trouble, done].append((quality, understood, float(buffer), float(bits)))
    for way, conditions in tables.items():
        print(f"\n{way}\n\n| Path | Done about it | PESQ | STOI | Buffer | kbit/s |\n|---|---|---|---|---|---|")
        before = None
        for (trouble, done), values in conditions.items():
            quality, understood, buffer, bits = np.mean(values, axis=0)
            name = trouble if trouble != before else ""
            before = trouble
            print(f"| {name} | {done} | {quality:.2f} | {understood:.3f} | {buffer:.0f} ms | {bits:.0f} |")


if __name__ == "__main__":
    {"speech": speech, "judge": judge}[sys.argv[1]](*sys.argv[2:])
