// How long to wait before the connection is tried again.

const FIRST_MS = 500
const LONGEST_MS = 30_000

// Doubles with each attempt (the first is 0) up to half a minute. Half of it is left to chance, so that the browsers of a whole
// office do not come back in the same instant after a restart.
export function backoff(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(FIRST_MS * 2 ** Math.min(attempt, 16), LONGEST_MS)
  return Math.round(full / 2 + (full / 2) * random())
}
