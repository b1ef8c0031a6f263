// Going before whatever else the machine has to do: sound is played in real time, and stutters where the processor is short. Allowed to root
// alone; for others, everything is as it is.

import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

const PRIORITY = -10

// A process that has just begun, with all it will start.
export function prefer(pid) {
  attempt(() => setPriority(pid, PRIORITY))
  // Linux shares the processor out among sessions first.
  attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(PRIORITY)))
}

// The sessions of all processes in this one's network: Chromium has one of its own.
export function preferSessions() {
  const here = networkOf('self')
  for (const pid of processes()) {
    if (networkOf(pid) === here) attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(PRIORITY)))
  }
}

// The ids of all processes.
export function processes() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
}

// The network namespace of a process; undefined when it is gone or somebody else's.
export function networkOf(pid) {
  return attempt(() => readlinkSync(`/proc/${pid}/ns/net`))
}

function attempt(act) {
  try {
    return act()
  } catch {
    return undefined
  }
}
