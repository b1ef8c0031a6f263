// Tones the phone makes itself: the bell of an incoming call, and what the caller hears while the other side rings.

interface Tone {
  // Hz, sounding together.
  frequencies: readonly number[]
  // Seconds of sound and silence, in turn, over and over.
  cadence: readonly number[]
  // Of full scale, per frequency.
  volume: number
}

const BELL: Tone = { frequencies: [660, 880], cadence: [0.4, 0.2, 0.4, 2], volume: 0.15 }
// ITU-T E.180: 425 Hz, one second in five.
const RINGBACK: Tone = { frequencies: [425], cadence: [1, 4], volume: 0.1 }
// Somebody calls during a call: two short, quiet tones in the agent's ear.
const WAITING: Tone = { frequencies: [425], cadence: [0.2, 0.2, 0.2, 5.4], volume: 0.05 }

const TONES = { bell: BELL, ringback: RINGBACK, waiting: WAITING }

export type ToneName = keyof typeof TONES

// A few milliseconds of rise and fall, without which a tone clicks.
const SLOPE_S = 0.01
// Planned ahead; a call rings no longer.
const LONGEST_S = 300

export class Tones {
  private context: AudioContext | undefined
  private playing: { sources: OscillatorNode[]; gain: GainNode } | undefined
  private name: ToneName | null = null

  // Browsers let a page sound only after the user has pressed something: called on the press that signs in.
  unlock(): void {
    this.context ??= new AudioContext()
    void this.context.resume()
  }

  // From now on this one sounds, or none.
  sound(name: ToneName | null): void {
    if (name === this.name) return
    this.stop()
    this.name = name
    if (name) this.play(TONES[name])
  }

  private stop(): void {
    this.playing?.sources.forEach((source) => source.stop())
    this.playing?.gain.disconnect()
    this.playing = undefined
  }

  private play(tone: Tone): void {
    const context = this.context
    if (!context) return
    const gain = context.createGain()
    gain.gain.value = 0
    gain.connect(context.destination)
    for (const [start, end] of sounding(tone.cadence, LONGEST_S)) {
      const from = context.currentTime + start
      const to = context.currentTime + end
      gain.gain.setValueAtTime(0, from)
      gain.gain.linearRampToValueAtTime(tone.volume, from + SLOPE_S)
      gain.gain.setValueAtTime(tone.volume, to - SLOPE_S)
      gain.gain.linearRampToValueAtTime(0, to)
    }
    const sources = tone.frequencies.map((frequency) => {
      const source = context.createOscillator()
      source.frequency.value = frequency
      source.connect(gain)
      source.start()
      return source
    })
    this.playing = { sources, gain }
  }
}

// The times, in seconds, between which a cadence sounds.
export function sounding(cadence: readonly number[], seconds: number): [number, number][] {
  const spans: [number, number][] = []
  for (let at = 0, part = 0; at < seconds; part++) {
    const length = cadence[part % cadence.length] ?? seconds
    if (part % 2 === 0) spans.push([at, at + length])
    at += length
  }
  return spans
}
