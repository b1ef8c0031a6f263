// The media of a trunk, packet by packet: RTP and RTCP (RFC 3550) with PCMU and telephone-events (RFC 4733), as it comes and goes.

import { createSocket } from 'node:dgram'

import { Bell } from './bell.mjs'
import { COLUMNS, KEYS, ROWS, digits, tone } from './sound.mjs'

const EVENTS = '0123456789*#ABCD'
const EVENT_TYPE = 101
const FRAME = 160
// Of what it sends.
export const SSRC = 0x7e57
const FRAME_MS = 20

export class RtpPeer {
  // RTP on a port and RTCP on the next.
  static async open(address = '127.0.0.1') {
    for (;;) {
      const socket = await bound(0, address)
      const control = await bound(socket.address().port + 1, address).catch(() => undefined)
      if (control) return new RtpPeer(socket, control)
      socket.close()
    }
  }

  constructor(socket, control) {
    Object.assign(this, { socket, control, port: socket.address().port, received: [], reports: [], bell: new Bell() })
    Object.assign(this, { frequency: null, sample: 0, pressing: null, sounding: null })
    // Both wrap within the first second.
    Object.assign(this, { sequence: 65_510, timestamp: 4_294_963_000, marker: true })
    // Like a gateway behind NAT: it sends to where it is sent from.
    socket.on('message', (packet, { address, port }) => {
      this.remote = { address, port }
      this.received.push({ at: performance.now(), ...parse(packet) })
    })
    control.on('message', (packet) => {
      this.reports.push(...parseReports(packet))
      this.bell.ring()
    })
  }

  // Plays a tone at a quarter of full scale from now on.
  play(frequency) {
    this.frequency = frequency
    const start = performance.now()
    let sent = 0
    this.clock = setInterval(() => {
      for (; sent * FRAME_MS <= performance.now() - start; sent++) this.frame()
    }, 5)
  }

  // How a tone was heard in all the audio that came, put in order by its timestamps, without the first second.
  heard(frequency) {
    return tone(this.samples().subarray(8000), 8000, frequency)
  }

  // The keys that were heard in that audio by their tones, each with its length in ms.
  heardKeys() {
    return digits(this.samples(), 8000)
  }

  // All the audio that came, in its place by its timestamps.
  samples() {
    const audio = this.received.filter(({ payloadType }) => payloadType === 0)
    const start = audio[0]?.timestamp ?? 0
    const samples = new Float32Array(Math.max(0, ...audio.map(({ timestamp, payload }) => ((timestamp - start) >>> 0) + payload.length)))
    for (const { timestamp, payload } of audio) samples.set(Array.from(payload, linear), (timestamp - start) >>> 0)
    return samples
  }

  // Waits for a report (RFC 3550 6.4) that is as it is wanted.
  report(isWanted, timeout = 20_000) {
    return this.bell.until(() => this.reports.find(isWanted), timeout, () => `reports were ${JSON.stringify(this.reports)}`)
  }

  // Sends nothing any more.
  fallSilent() {
    clearInterval(this.clock)
  }

  // Presses keys, each for so many milliseconds, in the place of the tone; done when the last is up.
  async press(keys, milliseconds) {
    for (const key of keys) {
      await new Promise((done) => {
        this.pressing = { event: EVENTS.indexOf(key), start: this.timestamp, frames: milliseconds / FRAME_MS, ends: 3, done }
      })
      await new Promise((wake) => setTimeout(wake, 100))
    }
  }

  // Sounds keys in the place of the tone, each for so many milliseconds, as phones without telephone-events do.
  async sound(keys, milliseconds) {
    for (const key of keys) {
      const row = KEYS.findIndex((keys) => keys.includes(key))
      this.sounding = [ROWS[row], COLUMNS[KEYS[row].indexOf(key)]]
      await new Promise((wake) => setTimeout(wake, milliseconds))
      this.sounding = []
      await new Promise((wake) => setTimeout(wake, 100))
    }
    this.sounding = null
  }

  frame() {
    if (this.pressing) this.eventFrame(this.pressing)
    else this.toneFrame()
    this.timestamp = (this.timestamp + FRAME) >>> 0
  }

  toneFrame() {
    const payload = Buffer.alloc(FRAME)
    // Two tones of a key at -8 dBm0 each.
    const tones = this.sounding?.map((frequency) => [frequency, 8880]) ?? [[this.frequency, 8192]]
    for (let n = 0; n < FRAME; n++, this.sample++) {
      payload[n] = mulaw(tones.reduce((sum, [frequency, peak]) => sum + peak * Math.sin((2 * Math.PI * frequency * this.sample) / 8000), 0))
    }
    this.send(0, this.timestamp, payload)
  }

  eventFrame(press) {
    const played = ((this.timestamp - press.start) >>> 0) / FRAME + 1
    const over = played >= press.frames
    const payload = Buffer.from([press.event, over ? 0x8a : 0x0a, 0, 0])
    payload.writeUInt16BE(Math.min(played, press.frames) * FRAME, 2)
    this.marker = played === 1
    this.send(EVENT_TYPE, press.start, payload)
    if (over && --press.ends === 0) {
      this.pressing = null
      this.marker = true
      press.done()
    }
  }

  send(payloadType, timestamp, payload) {
    const header = Buffer.alloc(12)
    header.writeUInt8(0x80, 0)
    header.writeUInt8(payloadType | (this.marker ? 0x80 : 0), 1)
    header.writeUInt16BE(this.sequence, 2)
    header.writeUInt32BE(timestamp, 4)
    header.writeUInt32BE(SSRC, 8)
    this.sequence = (this.sequence + 1) & 0xffff
    this.marker = false
    if (this.remote) this.socket.send(Buffer.concat([header, payload]), this.remote.port, this.remote.address)
  }

  // The digits that arrived, in order: packets with the same timestamp are one press.
  digits() {
    const presses = []
    for (const packet of this.received.filter((packet) => packet.payloadType === EVENT_TYPE)) {
      if (presses.at(-1)?.timestamp !== packet.timestamp) {
        presses.push({ at: packet.at, timestamp: packet.timestamp, digit: EVENTS[packet.payload[0]], packets: [] })
      }
      const [flags, units] = [packet.payload[1], packet.payload.readUInt16BE(2)]
      presses.at(-1).packets.push({ marker: packet.marker, end: (flags & 0x80) !== 0, units })
    }
    return presses
  }

  stop() {
    this.fallSilent()
    this.socket.close()
    this.control.close()
  }
}

function bound(port, address) {
  const socket = createSocket('udp4')
  return new Promise((done, failed) => {
    socket.once('error', failed)
    socket.bind(port, address, () => done(socket))
  })
}

// The sender and receiver reports of a compound packet, each with its first report block.
function parseReports(compound) {
  const reports = []
  for (let rest = compound; rest.length >= 4; rest = rest.subarray(4 + 4 * rest.readUInt16BE(2))) {
    const [blocks, type] = [rest.readUInt8(0) & 0x1f, rest.readUInt8(1)]
    if (type !== 200 && type !== 201) continue
    const block = rest.subarray(type === 200 ? 28 : 8)
    reports.push({
      type, ssrc: rest.readUInt32BE(4), sent: type === 200 ? rest.readUInt32BE(20) : undefined,
      about: blocks > 0 ? { ssrc: block.readUInt32BE(0), lost: block.readUInt8(4) } : undefined
    })
  }
  return reports
}

function parse(packet) {
  const second = packet.readUInt8(1)
  return {
    marker: second >= 0x80,
    payloadType: second & 0x7f,
    sequence: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    ssrc: packet.readUInt32BE(8),
    payload: packet.subarray(12 + 4 * (packet.readUInt8(0) & 0x0f))
  }
}

// ITU-T G.711: 14-bit magnitude with a bias of 33, in eight segments.
function mulaw(sample) {
  const magnitude = Math.min(Math.abs(Math.round(sample / 4)) + 33, 8191)
  const segment = Math.floor(Math.log2(magnitude)) - 5
  const code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0f)
  return ~(sample < 0 ? code | 0x80 : code) & 0xff
}

function linear(code) {
  const [segment, low] = [(~code >> 4) & 0x07, ~code & 0x0f]
  const magnitude = (((low << 1) + 33) << segment) - 33
  return ((code & 0x80 ? 1 : -1) * magnitude) / 8192
}
