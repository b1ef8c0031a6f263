// The phone's calls: of each what it shows, its session, microphone and speaker; and which one is talked in while another waits.

import type { Session } from 'sip.js'
import { shallowReactive } from 'vue'

import { Call } from './call'
import { MicrophoneError, openMicrophone, stop } from './microphone'
import { isBeingMade, isUp, nameOf, succession } from './roster'
import type { CallView, PhoneState } from './state'
import { Tones } from './tones'

interface Open {
  call: Call | null
  microphone: MediaStream | null
  speaker: HTMLAudioElement
  // The other side is heard before it answers.
  early: boolean
  // It was hung up while the gateway could not be told.
  farewell: boolean
}

export interface CallsListener {
  warn(text: string): void
  inform(text: string): void
  // The browser's packets of a call do not get through any more.
  mediaLost(): void
  // Whether the gateway can be told anything now.
  isReachable(): boolean
}

export class Calls {
  readonly tones = new Tones()
  private readonly state: PhoneState
  private readonly listener: CallsListener
  private readonly open: Map<number, Open> = shallowReactive(new Map())
  private latest = 0

  constructor(state: PhoneState, listener: CallsListener) {
    this.state = state
    this.listener = listener
  }

  get active(): CallView | null {
    return this.find(this.state.active)
  }

  find(id: number | null): CallView | null {
    return this.state.calls.find((call) => call.id === id) ?? null
  }

  session(view: CallView): Call | null {
    return this.open.get(view.id)?.call ?? null
  }

  // The open microphone of a call.
  microphone(id: number | null): MediaStream | undefined {
    return (id === null ? undefined : this.open.get(id)?.microphone) ?? undefined
  }

  // Shows another call; it becomes the active one unless there is one and somebody only calls.
  add(call: Pick<CallView, 'direction' | 'party' | 'name' | 'state'> & Partial<CallView>): CallView {
    const id = ++this.latest
    const fresh = { since: null, muted: false, held: false, heldByGateway: false, consults: null, transfer: null, joining: false, digits: '' }
    this.state.calls.push({ id, ...fresh, participants: [], ...call })
    this.open.set(id, shallowReactive({ call: null, microphone: null, speaker: new Audio(), early: false, farewell: false }))
    // The reactive one, which is not the object just added.
    const view = this.find(id) as CallView
    if (view.state !== 'incoming' || this.state.active === null) this.state.active = id
    this.ring()
    return view
  }

  // Binds a session to what is shown of it.
  follow(view: CallView, session: Session): Call {
    const call = new Call(session, {
      ringing: () => {
        if (view.state === 'calling') view.state = 'ringing'
        this.ring()
      },
      earlyMedia: () => {
        this.change(view, { early: true })
        if (view.state === 'calling') view.state = 'ringing'
        this.ring()
      },
      connected: () => {
        view.state = 'connected'
        view.since ??= Date.now()
        this.ring()
      },
      sound: (stream) => this.play(view, stream),
      heldByGateway: (held) => {
        view.heldByGateway = held
      },
      mediaLost: () => this.listener.mediaLost(),
      transferFailed: (why) => this.transferFailed(view, why),
      ended: (why) => this.ended(view, why)
    })
    this.change(view, { call })
    return call
  }

  // Null when there is none, or when the call ended while the browser asked the agent for it.
  async openMicrophone(view: CallView): Promise<MediaStream | null> {
    try {
      const stream = this.sharedMicrophone() ?? (await openMicrophone())
      if (!this.find(view.id)) {
        stop(stream)
        return null
      }
      stream.getAudioTracks().forEach((track) => {
        track.enabled = !view.muted
        track.addEventListener('ended', () => {
          if (this.microphone(view.id) === stream) {
            this.listener.warn('The microphone was unplugged. The other side cannot hear you.')
          }
        })
      })
      stop(this.microphone(view.id))
      this.change(view, { microphone: stream })
      return stream
    } catch (error) {
      if (this.find(view.id)) this.listener.warn(error instanceof MicrophoneError ? error.message : String(error))
      return null
    }
  }

  setMuted(view: CallView, muted: boolean): void {
    view.muted = muted
    this.microphone(view.id)?.getAudioTracks().forEach((track) => (track.enabled = !muted))
  }

  // False when it could not be done, which was told.
  async setHeld(view: CallView, held: boolean): Promise<boolean> {
    if (!isUp(view) || view.held === held) return view.held === held
    try {
      await this.session(view)?.hold(held)
      view.held = held
      return true
    } catch (error) {
      if (this.find(view.id) === view) this.listener.warn(error instanceof Error ? error.message : String(error))
      return false
    }
  }

  // Makes room for another call to be talked in: the active one waits on hold, or is given up when it was not answered yet.
  async park(): Promise<boolean> {
    const view = this.active
    if (!view) return true
    if (isUp(view)) return this.setHeld(view, true)
    if (isBeingMade(view)) this.hangUp(view)
    return true
  }

  // Talks in another call from now on; the one that was talked in waits.
  async turnTo(view: CallView): Promise<void> {
    if (view.id === this.state.active) return
    if (!(await this.park()) || !this.find(view.id)) return
    this.state.active = view.id
    await this.setHeld(view, false)
  }

  // Gives up, rejects or hangs up.
  hangUp(view: CallView): void {
    if (view.state === 'ending') return
    const call = this.session(view)
    if (!call) return this.forget(view)
    const farewell = isUp(view) && !this.listener.isReachable()
    view.state = 'ending'
    this.ring()
    if (!farewell) return call.hangUp()
    // A BYE that does not arrive would leave the other side in silence: it is said when the connection is back.
    this.change(view, { farewell })
    this.setMuted(view, true)
    const open = this.open.get(view.id)
    if (open) open.speaker.srcObject = null
  }

  // The gateway can be told again what it could not be told.
  reconnected(): void {
    for (const view of [...this.state.calls]) {
      const open = this.open.get(view.id)
      if (open?.farewell) open.call?.hangUp()
      else if (isUp(view) && open?.call?.isSilent) void open.call.restartMedia()
    }
  }

  forget(view: CallView): void {
    const index = this.state.calls.findIndex((call) => call.id === view.id)
    const open = this.open.get(view.id)
    if (index < 0 || !open) return
    this.state.calls.splice(index, 1)
    this.open.delete(view.id)
    stop(open.microphone ?? undefined)
    open.speaker.srcObject = null
    const { active, resumed } = succession(this.state.calls, this.state.active, view)
    this.state.active = active
    for (const call of this.state.calls) if (call.consults === view.id) call.consults = null
    this.ring()
    if (resumed) void this.setHeld(resumed, false)
  }

  private ended(view: CallView, why: string): void {
    if (this.find(view.id) !== view) return
    this.forget(view)
    if (!why || view.joining) return
    const left = this.active
    const isAlone = !left || left.state === 'incoming' || left.joining
    this.listener.inform(isAlone ? why : `${nameOf(view)}: ${why} You are with ${nameOf(left)}.`)
  }

  private transferFailed(view: CallView, why: string): void {
    if (this.find(view.id) !== view || view.transfer === null) return
    this.listener.warn(`${view.transfer} did not take the call: ${why}`)
    view.transfer = null
    for (const call of this.state.calls) call.joining = false
  }

  // The tone for what is going on.
  private ring(): void {
    const { active } = this
    const isCalled = this.state.calls.some((call) => call.state === 'incoming')
    if (isCalled) return this.tones.sound(active?.state === 'incoming' ? 'bell' : 'waiting')
    const hearsNothing = active?.state === 'ringing' && !this.open.get(active.id)?.early
    this.tones.sound(hearsNothing ? 'ringback' : null)
  }

  // Of a microphone that is open already: another track of it, which is muted and stopped by itself.
  private sharedMicrophone(): MediaStream | null {
    for (const { microphone } of this.open.values()) {
      const track = microphone?.getAudioTracks().find((candidate) => candidate.readyState === 'live')
      if (track) return new MediaStream([track.clone()])
    }
    return null
  }

  private change(view: CallView, change: Partial<Open>): void {
    const open = this.open.get(view.id)
    if (open) Object.assign(open, change)
  }

  private play(view: CallView, stream: MediaStream): void {
    const speaker = this.open.get(view.id)?.speaker
    if (!speaker) return
    speaker.srcObject = stream
    speaker.play().catch((error: unknown) => {
      // The stream was taken away before it began.
      if (error instanceof Error && error.name === 'AbortError') return
      this.listener.warn('The browser does not play the call. Allow sound for this page.')
    })
  }
}
