// Sound files: tones to be played, recordings to be measured.

import { readFileSync, writeFileSync } from 'node:fs'

// A tone at a quarter of full scale, 8 kHz mono.
export function writeWav(path, frequency, seconds) {
  const rate = 8000
  const data = Buffer.alloc(rate * seconds * 2)
  for (let n = 0; n < rate * seconds; n++) data.writeInt16LE(Math.round(8192 * Math.sin((2 * Math.PI * frequency * n) / rate)), n * 2)
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + data.length, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt32LE(rate * 2, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(data.length, 40)
  writeFileSync(path, Buffer.concat([header, data]))
}

export function readWav(path) {
  const file = readFileSync(path)
  const rate = file.readUInt32LE(24)
  const start = file.indexOf('data') + 8
  const samples = new Float32Array(Math.floor((file.length - start) / 2))
  for (let n = 0; n < samples.length; n++) samples[n] = file.readInt16LE(start + n * 2) / 32768
  return { rate, samples }
}
