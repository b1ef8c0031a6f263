// What was heard: levels of tones, and the longest time without one. The same code runs in the page and in node.

// The level of a frequency in dB of full scale.
export function level(samples, rate, frequency) {
  let real = 0
  let imaginary = 0
  const step = (2 * Math.PI * frequency) / rate
  for (let n = 0; n < samples.length; n++) {
    real += samples[n] * Math.cos(step * n)
    imaginary += samples[n] * Math.sin(step * n)
  }
  return 20 * Math.log10(Math.max((2 * Math.hypot(real, imaginary)) / samples.length, 1e-9))
}

// Level of the tone (of its power in windows of 10 ms: a jitter buffer that stretches time shifts its phase, not its level), and
// the longest stretch, in ms, in which windows lie 12 dB or more below it.
export function tone(samples, rate, frequency) {
  const window = Math.round(rate / 100)
  let power = 0
  let windows = 0
  for (let start = 0; start + window <= samples.length; start += window, windows++) {
    power += 10 ** (level(samples.subarray(start, start + window), rate, frequency) / 10)
  }
  const overall = 10 * Math.log10(power / windows)
  let gap = 0
  let longest = 0
  for (let start = 0; start + window <= samples.length; start += window) {
    const part = samples.subarray(start, start + window)
    gap = level(part, rate, frequency) < overall - 12 ? gap + 10 : 0
    longest = Math.max(longest, gap)
  }
  return { level: overall, longestGap: longest, seconds: samples.length / rate }
}

// The level of a frequency beside others that may be louder: in windows of 100 ms, in which tones of whole tens of Hz leave each other
// alone.
export function beside(samples, rate, frequency) {
  const window = Math.round(rate / 10)
  let power = 0
  let windows = 0
  for (let start = 0; start + window <= samples.length; start += window, windows++) {
    power += 10 ** (level(samples.subarray(start, start + window), rate, frequency) / 10)
  }
  return 10 * Math.log10(power / windows)
}

export const ROWS = [697, 770, 852, 941]
export const COLUMNS = [1209, 1336, 1477]
export const KEYS = ['123', '456', '789', '*0#']

// The keys whose two tones are heard (ITU-T Q.23), each with its length in ms. As with any detector (ITU-T Q.24), what is shorter
// than 40 ms is no digit, and a pause shorter than 40 ms does not end one. Windows of 30 ms, one every 5 ms.
export function digits(samples, rate) {
  const [window, hop] = [Math.round(rate * 0.03), Math.round(rate * 0.005)]
  const heard = []
  for (let start = 0; start + window <= samples.length; start += hop) {
    const part = samples.subarray(start, start + window)
    const [row, column] = [ROWS, COLUMNS].map((tones) => strongest(part, rate, tones))
    if (row.level < -26 || column.level < -26) continue
    const [digit, ms] = [KEYS[row.index][column.index], (start / rate) * 1000]
    const last = heard.at(-1)
    if (last?.digit === digit && ms - last.end < 40) last.end = ms
    else heard.push({ digit, start: ms, end: ms })
  }
  return heard.map(({ digit, start, end }) => ({ digit, ms: Math.round(end - start) })).filter(({ ms }) => ms >= 40)
}

function strongest(samples, rate, frequencies) {
  const levels = frequencies.map((frequency) => level(samples, rate, frequency))
  const best = Math.max(...levels)
  return { level: best, index: levels.indexOf(best) }
}
