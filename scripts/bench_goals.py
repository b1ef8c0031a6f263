"""The goals of docs/performance.md: how each figure is taken from what scripts/bench measured, and what it shall be."""

import statistics

# Runs of scripts/load by name: its own arguments, and those of patchcord-load.
GATEWAY = {
    "refresh": (["--agents", "400"], ["register", "--hold", "10s", "--refresh-rate", "2000"]),
    "setup": (["--agents", "400"], ["--no-media", "calls", "--rate", "1000", "--talk", "0s", "--total", "10000"]),
    "calls": (["--agents", "400"], ["--listen", "20", "calls", "--rate", "20", "--talk", "1s", "--total", "300"]),
    "ramp": (
        ["--agents", "400"],
        ["--listen", "20", "ramp", "--steps", "10,50,100", "--target", "200", "--rate", "20", "--hold", "10s"],
    ),
}
# More do not fit on two cores beside the generator.
MOST = 200
CORES = 2
PACKETS = 50  # a second, each way


def dig(tree, path):
    """What stands at `a.b.0.c` in a report; None where nothing does."""
    for step in path.split("."):
        if isinstance(tree, list):
            tree = tree[int(step)] if len(tree) > abs(int(step)) else None
        else:
            tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def start_to_ready(runs):
    """Milliseconds, the median of every run: the first start of a binary that was just built is read from the disk."""
    starts = [run["ready_ms"] for run in runs.values() if run.get("ready_ms")]
    return statistics.median(starts) if starts else None


def gateway_rows(kept):
    """The table of what whole runs came to."""
    runs = kept["runs"]
    lines = ["| | Figure | `scripts/load` |", "|---|---|---|"]

    def add(what, run, path, unit, places=2):
        value = dig(runs.get(run, {}), path)
        text = "-" if value is None else f"{value:.{places}f} {unit}"
        before, after = GATEWAY[run]
        lines.append(f"| {what} | {text} | `{' '.join(before)} -- {' '.join(after)}` |")

    ready = start_to_ready(runs)
    lines.append(f"| From the start to SIP ready (database exists) | {ready:.0f} ms | median of all {len(runs)} |" if ready else "")
    kib = dig(runs.get("refresh", {}), "gateway.memory.before_kib")
    lines.append(f"| Memory before anybody registered | {kib / 1024:.1f} MiB | the same |" if kib else "")
    add("REGISTER over an open WSS connection, processor", "refresh", "gateway.processor_us_per_refresh", "us", 0)
    add("Connecting and registering, TLS and WebSocket included, processor", "refresh", "gateway.processor_us_per_register", "us", 0)
    add("Memory of a registered agent", "refresh", "gateway.memory.per_registration_kib", "KiB", 0)
    add("A call's signalling, both legs, processor", "setup", "gateway.processor_ms_per_call", "ms")
    add("INVITE to 200, 1,000 calls a second, 99 of 100 within", "setup", "calls.invite_to_answer.p99_ms", "ms", 1)
    add("A call of a second with its media's set-up, processor", "calls", "gateway.processor_ms_per_call", "ms")
    for number, step in enumerate(dig(runs.get("ramp", {}), "steps") or []):
        what = f"A second of a call among {step.get('calls')}, processor"
        add(what, "ramp", f"steps.{number}.gateway_processor_ms_per_call_second", "ms")
    for way, words in [("agent_to_carrier", "Opus to PCMU"), ("carrier_to_agent", "PCMU to Opus")]:
        for share in ("p50", "p99"):
            add(f"Added latency, {words}, 100 calls, {share}", "ramp", f"steps.2.{way}.added_latency.{share}_ms", "ms")
    add("Memory of a transcoded call", "ramp", "gateway.memory.per_call_kib", "KiB", 0)
    return "\n".join([*(line for line in lines if line), "", f"{kept['date']}."])


def goals(kept):
    """The table of goals: only figures that were measured."""
    lines = ["| | Goal | Figure | Met |", "|---|---|---|---|"]
    rows = lambda table: kept.get(table, {}).get("rows", {})  # noqa: E731
    run = lambda name, path: dig(kept.get("gateway", {}).get("runs", {}), f"{name}.{path}")  # noqa: E731

    def add(what, goal, figure, value, most):
        """`value` in the goal's unit; more than `most` does not meet it."""
        if value is None:
            met = "not measured"
        elif value <= most:
            met = "yes"
        else:
            met = f"no, {value / most:.2f} times it"
        lines.append(f"| {what} | {goal} | {figure if value is not None else '-'} | {met} |")

    def pair(*names):
        """Cost and floor of rows of packets together, in nanoseconds."""
        found = [row for name in names for row in [rows("packet").get(name)] if row]
        if len(found) != len(names):
            return None, None
        return sum(row["ns"] for row in found), sum(row["floor"]["ns"] for row in found)

    crowded = ("Browser to trunk: SRTP and Opus in, PCMU out, 100 calls", "Trunk to browser: PCMU in, Opus and SRTP out, 100 calls")
    own, bare = pair(*crowded)
    ratio = own and own / bare
    share = own and own * PACKETS / 1e7
    add("A call of Opus and PCMU in the shard, of its floor", "1.25", own and f"{ratio:.2f}; {share:.2f} % of a core", ratio, 1.25)
    whole = run("ramp", "steps.-1.gateway_processor_ms_per_call_second")
    names = ("Browser to trunk: SRTP and Opus in, PCMU out", "Trunk to browser: PCMU in, Opus and SRTP out")
    sockets = [rows("wire").get(f"{name}, bare with sockets") for name in names]
    floor = sum(row["ns"] for row in sockets) * PACKETS / 1e6 if all(sockets) else None
    times = whole and floor and whole / floor
    figure = times and f"{times:.2f}; {whole / 10:.2f} % of a core, bare {floor / 10:.2f} %"
    add(f"The same with system calls, in a gateway with {MOST} calls, of a bare loop with sockets", "1.25", figure, times, 1.25)
    fits = whole and 1000 * CORES / whole
    add("Calls in real time on 2 cores, by that", "700", fits and f"{fits:.0f}", fits and 700 / fits, 1)
    own, bare = pair("Browser to browser: SRTP in, the same Opus and SRTP out, 100 calls")
    share = own and 2 * own * PACKETS / 1e7
    add("A relayed call in the shard, of a core", "0.06 %", own and f"{share:.4f} %; {own / bare:.2f} times SRTP", share, 0.06)
    for way, words in [("agent_to_carrier", "Opus to PCMU"), ("carrier_to_agent", "PCMU to Opus")]:
        for percentile, most in [("p50", 0.5), ("p99", 5.0)]:
            value = run("ramp", f"steps.2.{way}.added_latency.{percentile}_ms")
            add(f"Added latency, {words}, 100 calls, {percentile}", f"{most:g} ms", value and f"{value:.2f} ms", value, most)
    value = run("calls", "gateway.processor_ms_per_call")
    add("A call's set-up, media and the second it lasts included", "1 ms", value and f"{value:.2f} ms", value, 1)
    value = run("setup", "gateway.processor_ms_per_call")
    add("Its signalling at 1,000 calls a second, sockets included", "1 ms", value and f"{value:.2f} ms", value, 1)
    value = run("refresh", "gateway.processor_us_per_refresh")
    add("REGISTER over an open WSS connection", "60 us", value and f"{value:.0f} us", value, 60)
    value = run("refresh", "gateway.memory.per_registration_kib")
    add("Memory of a registered agent", "40 KiB", value and f"{value:.0f} KiB", value, 40)
    value = run("ramp", "gateway.memory.per_call_kib")
    add("Memory of a transcoded call", "120 KiB", value and f"{value:.0f} KiB", value, 120)
    value = start_to_ready(kept.get("gateway", {}).get("runs", {}))
    add("Start to SIP ready", "30 ms", value and f"{value:.0f} ms", value, 30)
    value = run("refresh", "gateway.memory.before_kib")
    add("Memory of an idle gateway", "25 MiB", value and f"{value / 1024:.1f} MiB", value and value / 1024, 25)

    def growth(table, few, many):
        few, many = rows(table).get(few), rows(table).get(many)
        return few and many and many["ns"] / few["ns"] - 1

    for way in ("Agent to trunk", "Trunk to agent"):
        value = growth("call", f"{way}, 10 calls at once", f"{way}, 400 calls at once")
        add(f"A call's signalling, 400 against 10 calls, {way.lower()}", "+20 %", value and f"{value:+.0%}", value, 0.2)
    first, last = run("ramp", "steps.0.gateway_processor_ms_per_call_second"), whole
    value = first and last and last / first - 1
    add(f"A second of a call, {MOST} against 10 calls", "+20 %", value and f"{value:+.0%}", value, 0.2)
    value = growth("register", "Refresh, 401 and 200, 100 registered", "Refresh, 401 and 200, 50000 registered")
    add("A refresh, 50,000 against 100 registered", "+20 %", value and f"{value:+.0%}", value, 0.2)
    return "\n".join(lines)
