// baresip as the carrier: a real SIP user agent that plays a tone, records what it hears, and is driven over its control port.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Bell } from './bell.mjs'
import { freeTcpPort, freeUdpPort } from './ports.mjs'
import { beside, tone } from './sound.mjs'
import { readWav, writeWav } from './wav.mjs'

const MODULES = ['/usr/lib/baresip/modules', '/usr/lib/x86_64-linux-gnu/baresip/modules', '/usr/lib/aarch64-linux-gnu/baresip/modules']

export class Baresip {
  // `frequency` is what it plays; `answer` is 'auto' or 'manual'.
  static async start({ number, frequency = 1000, answer = 'auto', codec = 'PCMU' }) {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-baresip-'))
    const [sipPort, controlPort] = [await freeUdpPort(), await freeTcpPort()]
    writeWav(join(folder, 'tone.wav'), frequency, 120)
    writeFileSync(join(folder, 'accounts'),
      `<sip:${number}@127.0.0.1:${sipPort}>;regint=0;answermode=${answer};audio_codecs=${codec}/8000/1;ptime=20\n`)
    writeFileSync(join(folder, 'config'), `
sip_listen 127.0.0.1:${sipPort}
sip_trans_def udp
net_interface 127.0.0.1
module_path ${MODULES.find(existsSync)}
module g711.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:${controlPort}
audio_source aufile,${folder}/tone.wav
audio_player aufile,${folder}/heard.wav
audio_alert aufile,/dev/null
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
snd_path ${folder}
rtp_ports 40000-49999
rtp_stats no
call_max_calls 8
`)
    const child = spawn('baresip', ['-f', folder], { stdio: ['pipe', 'pipe', 'pipe'] })
    const baresip = new Baresip(folder, child, sipPort, number)
    await baresip.connect(controlPort)
    return baresip
  }

  constructor(folder, child, sipPort, number) {
    Object.assign(this, { folder, child, sipPort, number, log: '', told: [], bell: new Bell() })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
      this.log += chunk
      this.bell.ring()
    })
    this.ended = new Promise((done) => child.once('exit', done))
  }

  async connect(controlPort) {
    for (let attempt = 0; attempt < 100; attempt++) {
      const socket = connect(controlPort, '127.0.0.1')
      const open = await new Promise((done) => {
        socket.once('connect', () => done(true))
        socket.once('error', () => done(false))
      })
      if (open) {
        this.control = socket
        let buffer = ''
        socket.on('data', (chunk) => { buffer = this.take(buffer + chunk.toString('latin1')) })
        return
      }
      await new Promise((wake) => setTimeout(wake, 50))
    }
    throw new Error(`baresip has no control port: ${this.log}`)
  }

  // Netstrings: `length:json,`.
  take(buffer) {
    for (;;) {
      const match = /^(\d+):/.exec(buffer)
      if (!match) return buffer
      const start = match[0].length
      const end = start + Number(match[1])
      if (buffer.length < end + 1) return buffer
      this.told.push(JSON.parse(buffer.slice(start, end)))
      this.bell.ring()
      buffer = buffer.slice(end + 1)
    }
  }

  command(command, params = '') {
    const text = JSON.stringify({ command, params, token: 't' })
    this.control.write(`${text.length}:${text},`)
  }

  // Waits for a call event such as CALL_ESTABLISHED; earlier ones are used up.
  event(type, timeout = 20_000) {
    return this.bell.until(() => {
      const index = this.told.findIndex((message) => message.event && message.type === type)
      return index < 0 ? undefined : this.told.splice(0, index + 1).at(-1)
    }, timeout, () => `baresip told no ${type}: ${JSON.stringify(this.told)}\n${this.log}`)
  }

  dial(uri) { this.command('dial', uri) }
  answer() { this.command('accept') }
  hangup() { this.command('hangup') }
  hold() { this.command('hold') }
  resume() { this.command('resume') }

  // Waits until so many kbit/s of audio arrive, within a tenth.
  receives(kilobits, timeout = 20_000) {
    const rate = () => Number([...this.log.slice(-500).matchAll(/audio=\d+\/(\d+) \(bit\/s\)/g)].at(-1)?.[1]) / 1000
    const isRight = () => (Math.abs(rate() - kilobits) <= kilobits / 10 ? true : undefined)
    return this.bell.until(isRight, timeout, () => `baresip receives ${rate()} kbit/s: ${this.log.slice(-500)}`)
  }

  // How a tone was heard in the last call, without the first second or between two moments of it.
  heard(frequency, from = 1, to = Infinity) {
    const { rate, samples } = this.recorded(from, to)
    return tone(samples, rate, frequency)
  }

  // The level of a tone beside others between two moments of the last call.
  level(frequency, from, to) {
    const { rate, samples } = this.recorded(from, to)
    return beside(samples, rate, frequency)
  }

  // The decoded sound of the last call as baresip wrote it down, between two moments in seconds from the first packet. What it was not sent
  // takes no time.
  recorded(from, to) {
    const name = readdirSync(this.folder).filter((file) => file.startsWith('dump-') && file.endsWith('-dec.wav')).sort().at(-1)
    if (!name) throw new Error(`baresip recorded nothing: ${readdirSync(this.folder)}`)
    const { rate, samples } = readWav(join(this.folder, name))
    return { rate, samples: samples.subarray(Math.round(from * rate), Math.min(samples.length, Math.round(to * rate))) }
  }

  async stop() {
    this.control?.destroy()
    this.child.kill('SIGTERM')
    await this.ended
    rmSync(this.folder, { recursive: true, force: true })
  }
}
