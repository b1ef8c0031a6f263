// The agent's phone: signs in, makes and takes one call at a time, and keeps `state` true. Shows nothing itself.

import { Inviter, UserAgent, type Invitation } from 'sip.js'
import { reactive, shallowRef } from 'vue'

import { callUri, dialled, parseAddress } from './address'
import { Call } from './call'
import { isKey } from './digits'
import { Line } from './line'
import { MicrophoneError, openMicrophone, stop } from './microphone'
import type { CallView, PhoneState } from './state'
import { Tones } from './tones'

const BUSY = 486

export class Softphone {
  readonly state: PhoneState = reactive({ registration: { state: 'signed out' }, address: '', call: null, notice: null })

  private readonly tones = new Tones()
  private readonly speaker = new Audio()
  private line: Line | undefined
  private call: Call | undefined
  private readonly stream = shallowRef<MediaStream>()

  // The open microphone of the running call.
  get microphone(): MediaStream | undefined {
    return this.stream.value
  }

  // False when `address` is none.
  signIn(address: string, secret: string): boolean {
    const parsed = parseAddress(address, location.hostname)
    if (!parsed) {
      this.warn('This is not an address. It looks like sip:1000@phone.example.com.')
      return false
    }
    this.tones.unlock()
    this.state.notice = null
    this.state.address = `${parsed.user}@${parsed.domain}`
    const server = `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/sip`
    this.line = new Line(parsed, secret, server, () => this.microphone ?? new MediaStream(), {
      registration: (registration) => {
        this.state.registration = registration
      },
      refused: (why) => {
        this.line = undefined
        this.signedOut()
        this.warn(why)
      },
      invited: (invitation) => this.invited(invitation)
    })
    this.line.start()
    return true
  }

  async signOut(): Promise<void> {
    this.hangUp()
    const line = this.line
    this.line = undefined
    this.signedOut()
    await line?.end()
  }

  async dial(text: string): Promise<void> {
    const number = dialled(text)
    if (this.state.call || !this.line || number === '') return
    const target = UserAgent.makeURI(callUri(number, this.line.domain))
    if (!target) return this.warn('This number cannot be called.')
    const { agent } = this.line
    const view = this.show({ direction: 'outgoing', party: number, name: '', state: 'calling' })
    if (!(await this.openMicrophone(view))) return this.forget(view)
    this.call = this.follow(new Inviter(agent, target, { earlyMedia: true }), view)
    this.call.invite()
  }

  async answer(): Promise<void> {
    const view = this.state.call
    if (view?.state !== 'incoming') return
    view.state = 'answering'
    if (!(await this.openMicrophone(view))) {
      view.state = 'incoming'
      return
    }
    this.tones.stop()
    this.call?.accept()
  }

  // Gives up, rejects or hangs up.
  hangUp(): void {
    const view = this.state.call
    if (!view || view.state === 'ending') return
    this.tones.stop()
    if (!this.call) return this.forget(view)
    view.state = 'ending'
    this.call.hangUp()
  }

  setMuted(muted: boolean): void {
    if (!this.state.call) return
    this.state.call.muted = muted
    this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !muted))
  }

  async setHeld(held: boolean): Promise<void> {
    const view = this.state.call
    if (view?.state !== 'connected' || view.held === held) return
    try {
      await this.call?.hold(held)
      view.held = held
    } catch (error) {
      if (this.state.call === view) this.warn(error instanceof Error ? error.message : String(error))
    }
  }

  // Hands the other side on to a number.
  transfer(text: string): void {
    const view = this.state.call
    const number = dialled(text)
    if (view?.state !== 'connected' || view.transfer !== null || !this.line || number === '') return
    const target = UserAgent.makeURI(callUri(number, this.line.domain))
    if (!target) return this.warn('This number cannot be called.')
    this.state.notice = null
    view.transfer = number
    this.call?.transfer(target)
  }

  press(key: string): void {
    const view = this.state.call
    if (view?.state !== 'connected' || !isKey(key)) return
    view.digits += key
    this.call?.press(key)
  }

  dismiss(): void {
    this.state.notice = null
  }

  private invited(invitation: Invitation): void {
    if (this.state.call) {
      invitation.reject({ statusCode: BUSY }).catch(() => undefined)
      return
    }
    const { uri, displayName } = invitation.remoteIdentity
    const party = uri.user && uri.user !== 'anonymous' ? uri.user : 'Unknown number'
    const view = this.show({ direction: 'incoming', party, name: displayName === party ? '' : displayName, state: 'incoming' })
    this.call = this.follow(invitation, view)
    this.tones.bell()
  }

  private follow(session: Inviter | Invitation, view: CallView): Call {
    return new Call(session, {
      ringing: () => {
        if (view.state !== 'calling') return
        view.state = 'ringing'
        this.tones.ringback()
      },
      earlyMedia: () => {
        this.tones.stop()
        if (view.state === 'calling') view.state = 'ringing'
      },
      connected: () => {
        this.tones.stop()
        view.state = 'connected'
        view.since = Date.now()
      },
      sound: (stream) => this.play(stream),
      transferFailed: (why) => {
        if (this.state.call !== view) return
        this.warn(`${view.transfer ?? 'The number'} did not take the call: ${why}`)
        view.transfer = null
      },
      ended: (why) => {
        if (this.state.call !== view) return
        this.forget(view)
        if (why) this.state.notice = { kind: 'information', text: why }
      }
    })
  }

  private show(call: Pick<CallView, 'direction' | 'party' | 'name' | 'state'>): CallView {
    this.state.notice = null
    this.state.call = { ...call, since: null, muted: false, held: false, transfer: null, digits: '' }
    // The reactive one, which is not the object just assigned.
    return this.state.call
  }

  private forget(view: CallView): void {
    if (this.state.call !== view) return
    this.tones.stop()
    this.closeMicrophone()
    this.speaker.srcObject = null
    this.call = undefined
    this.state.call = null
  }

  private play(stream: MediaStream): void {
    this.speaker.srcObject = stream
    this.speaker.play().catch((error: unknown) => {
      // The stream was taken away before it began.
      if (error instanceof Error && error.name === 'AbortError') return
      this.warn('The browser does not play the call. Allow sound for this page.')
    })
  }

  // False when there is none, or when the call ended while the browser asked the agent for it.
  private async openMicrophone(view: CallView): Promise<boolean> {
    try {
      const stream = await openMicrophone()
      if (this.state.call !== view) {
        stop(stream)
        return false
      }
      stream.getAudioTracks().forEach((track) => {
        track.addEventListener('ended', () => {
          if (this.microphone === stream) this.warn('The microphone was unplugged. The other side cannot hear you.')
        })
      })
      this.stream.value = stream
      return true
    } catch (error) {
      if (this.state.call === view) this.warn(error instanceof MicrophoneError ? error.message : String(error))
      return false
    }
  }

  private closeMicrophone(): void {
    const stream = this.microphone
    this.stream.value = undefined
    stop(stream)
  }

  private signedOut(): void {
    if (this.state.call) this.forget(this.state.call)
    this.state.registration = { state: 'signed out' }
    this.state.address = ''
  }

  private warn(text: string): void {
    this.state.notice = { kind: 'warning', text }
  }
}
