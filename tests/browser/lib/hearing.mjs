// What it means that somebody heard the other.

import assert from 'node:assert/strict'

// Every tone is played at a quarter of full scale, which is -12 dB: it arrives within 3 dB of that, and without a gap above 60 ms.
export function assertHeard(heard, where) {
  assert.ok(isAsPlayed(heard), `${where}: ${JSON.stringify(heard)}`)
}

// A page hears this tone, as above, in one of three stretches of two seconds: for who hears whom, where a gap may be the busy machine's.
export async function assertHears(page, frequency, where) {
  let heard
  for (let attempt = 0; attempt < 3; attempt++) {
    heard = await page.run('listen', frequency, 2)
    if (isAsPlayed(heard)) return
  }
  assertHeard(heard, where)
}

function isAsPlayed({ level, longestGap }) {
  return Math.abs(level + 12) < 3 && longestGap <= 60
}
