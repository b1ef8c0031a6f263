// Mouth and ear of a page under test: an oscillator in the place of the microphone, so that levels are known, and a recorder that
// keeps every sample of what comes in, so that gaps show.

import { beside, digits, tone } from '../lib/sound.mjs'

const RATE = 48_000
const CHUNK = 1024

export class Sound {
  private readonly context = new AudioContext({ sampleRate: RATE })
  private recorded: Float32Array[] = []
  private listening = false
  private ear: ScriptProcessorNode | undefined
  private heard: MediaStreamAudioSourceNode | undefined
  private readonly mixes: boolean
  // A connection that was on hold tells of its track again.
  private readonly mixed = new Set<MediaStreamTrack>()

  // Hears the latest connection, or, as an agent with several calls does, `all` at once.
  constructor(hears: 'latest' | 'all' = 'latest') {
    this.mixes = hears === 'all'
  }

  // Every microphone the page opens from now on plays a tone at a quarter of full scale, which is -12 dB.
  async replaceMicrophone(frequency: number) {
    await this.context.resume()
    const oscillator = this.context.createOscillator()
    oscillator.frequency.value = frequency
    const volume = this.context.createGain()
    volume.gain.value = 0.25
    const destination = this.context.createMediaStreamDestination()
    oscillator.connect(volume).connect(destination)
    oscillator.start()
    const microphone = destination.stream.getAudioTracks()[0]!
    // Clones per call: SIP.js stops the tracks of a call that ends.
    navigator.mediaDevices.getUserMedia = async () => new MediaStream([microphone.clone()])
  }

  hear(connection: RTCPeerConnection, told: () => void) {
    connection.addEventListener('track', (event) => {
      if (this.mixes && this.mixed.has(event.track)) return
      this.mixed.add(event.track)
      const stream = new MediaStream([event.track])
      // Chromium renders a remote track only while an element plays it.
      const element = new Audio()
      element.srcObject = stream
      element.muted = true
      void element.play()
      // The connection of an earlier call goes on in silence, and its sound would stand beside that of this call.
      if (!this.mixes) this.heard?.disconnect()
      this.heard = this.context.createMediaStreamSource(stream)
      this.heard.connect(this.recorder())
      told()
    })
  }

  // The one ear: what comes in together is recorded together.
  private recorder(): ScriptProcessorNode {
    if (this.ear) return this.ear
    this.ear = this.context.createScriptProcessor(CHUNK, 1, 1)
    this.ear.onaudioprocess = (chunk) => {
      if (this.listening) this.recorded.push(chunk.inputBuffer.getChannelData(0).slice())
    }
    this.ear.connect(this.context.destination)
    return this.ear
  }

  // Listens for so many seconds and tells how a tone was heard.
  async listen(frequency: number, seconds: number) {
    return tone(await this.record(seconds), RATE, frequency)
  }

  // Listens for so many seconds and tells the level of each tone beside the others.
  async levels(frequencies: number[], seconds: number) {
    const samples = await this.record(seconds)
    return frequencies.map((frequency) => beside(samples, RATE, frequency))
  }

  // Listens for so many seconds and tells which keys were heard, and for how many milliseconds.
  async listenForDigits(seconds: number) {
    return digits(await this.record(seconds), RATE)
  }

  private async record(seconds: number) {
    this.recorded = []
    this.listening = true
    const wanted = seconds * RATE
    while (this.recorded.length * CHUNK < wanted) await new Promise((wake) => setTimeout(wake, 50))
    this.listening = false
    const samples = new Float32Array(this.recorded.length * CHUNK)
    this.recorded.forEach((chunk, index) => samples.set(chunk, index * CHUNK))
    return samples
  }
}
