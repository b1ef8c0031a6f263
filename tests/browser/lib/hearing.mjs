// What it means that somebody heard the other.

import assert from 'node:assert/strict'

// Every tone is played at a quarter of full scale, which is -12 dB: it arrives within 3 dB of that, and without a gap above 60 ms.
export function assertHeard(heard, where) {
  assert.ok(Math.abs(heard.level + 12) < 3 && heard.longestGap <= 60, `${where}: ${JSON.stringify(heard)}`)
}
