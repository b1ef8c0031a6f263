// The agent's phone: signs in, makes and takes calls, hands them on, brings them together and returns to them, and keeps `state` true.
// Shows nothing itself.

import { Inviter, UserAgent, type Invitation, type URI } from 'sip.js'
import { reactive, watch } from 'vue'

import { callUri, dialled, parseAddress } from './address'
import type { MediaOptions } from './call'
import { Calls } from './calls'
import { isOver, refusalText, returnText } from './causes'
import { Conference } from './conference'
import { Digest } from './digest'
import { isKey } from './digits'
import { DirectoryWatch } from './directory'
import { Gateway } from './gateway'
import { Keeping, type KeptCall } from './keeping'
import { Line } from './line'
import { replaces } from './replaces'
import { Returning } from './returning'
import { canTakeAnother } from './roster'
import type { CallView, Participant, PhoneState, Registration } from './state'
import { Transfers, type Dialling } from './transfers'

const BUSY = 486
// A call that is brought back goes to the page that asked for it, and to any other one only if that does not answer.
const COURTESY_MS = 1500

export class Softphone {
  readonly state: PhoneState = reactive<PhoneState>({
    registration: { state: 'signed out' },
    address: '',
    calls: [],
    active: null,
    lost: [],
    directory: { state: 'unknown', colleagues: [] },
    notice: null
  })

  private line: Line | null = null
  private gateway: Gateway | null = null
  private user = ''
  private secret = ''

  private readonly calls = new Calls(this.state, {
    warn: (text) => this.warn(text),
    inform: (text) => this.inform(text),
    mediaLost: () => this.line?.check(),
    isReachable: () => this.line?.isRegistered === true
  })
  private readonly dialling: Dialling = {
    target: (text) => this.target(text),
    dial: (text, consults) => this.call(text, consults)
  }
  private readonly transfers = new Transfers(this.state, this.calls, this.dialling)
  private readonly conference = new Conference(this.state, this.calls, {
    gateway: () => this.gateway,
    warn: (text) => this.warn(text),
    number: (text) => this.target(text)?.number ?? null,
    own: () => this.user,
    nameOf: (number) => this.nameOf(number)
  })
  private readonly directory = new DirectoryWatch(this.state, () => this.gateway)
  private readonly returning = new Returning(
    this.state,
    {
      gateway: () => this.gateway,
      dialog: (view) => this.calls.session(view)?.dialog ?? null,
      own: () => this.user,
      inform: (text) => this.inform(text)
    },
    new Keeping(sessionStorage)
  )

  constructor() {
    const kept = () => [this.state.calls.map(({ state, party, name, joining }) => [state, party, name, joining]), this.state.lost.length]
    watch(kept, () => {
      if (this.line) this.returning.save(this.state.address, this.secret)
    })
  }

  // Signs in again when the page before this one left calls.
  async resume(): Promise<void> {
    const kept = await this.returning.load()
    if (kept && !this.line) this.signIn(kept.address, kept.secret)
  }

  // False when `address` is none.
  signIn(address: string, secret: string): boolean {
    const parsed = parseAddress(address, location.hostname)
    if (!parsed) {
      this.warn('This is not an address. It looks like sip:1000@phone.example.com.')
      return false
    }
    this.calls.tones.unlock()
    this.state.notice = null
    this.state.address = `${parsed.user}@${parsed.domain}`
    this.user = parsed.user
    this.secret = secret
    this.gateway = window.crypto.subtle ? new Gateway(new Digest(parsed.user, secret)) : null
    const server = `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/sip`
    this.line = new Line(parsed, secret, server, {
      registration: (registration) => this.registration(registration),
      refused: (why) => {
        this.line = null
        this.signedOut()
        this.warn(why)
      },
      invited: (invitation) => this.invited(invitation)
    })
    this.line.start()
    return true
  }

  async signOut(): Promise<void> {
    for (const view of [...this.state.calls]) this.calls.hangUp(view)
    const line = this.line
    this.line = null
    this.signedOut()
    await line?.end()
  }

  // The open microphone of the call that is talked in.
  get microphone(): MediaStream | undefined {
    return this.calls.microphone(this.state.active)
  }

  async dial(text: string): Promise<void> {
    if (this.state.calls.length === 0) await this.call(text, null)
  }

  async answer(id: number): Promise<void> {
    const view = this.calls.find(id)
    if (view?.state !== 'incoming') return
    view.state = 'answering'
    const isAside = this.state.active !== id
    const microphone = await this.calls.openMicrophone(view)
    if (!microphone || (isAside && !(await this.calls.park()))) {
      if (view.state === 'answering') view.state = 'incoming'
      return
    }
    if (!this.calls.find(id)) return
    this.state.active = id
    this.state.notice = null
    this.calls.session(view)?.accept(microphone)
  }

  // Gives up, rejects or hangs up.
  hangUp(id: number): void {
    const view = this.calls.find(id)
    if (view) this.calls.hangUp(view)
  }

  setMuted(muted: boolean): void {
    if (this.calls.active) this.calls.setMuted(this.calls.active, muted)
  }

  async setHeld(held: boolean): Promise<void> {
    if (this.calls.active) await this.calls.setHeld(this.calls.active, held)
  }

  press(key: string): void {
    const view = this.calls.active
    if (view?.state !== 'connected' || !isKey(key)) return
    view.digits += key
    this.calls.session(view)?.press(key)
  }

  transfer(text: string): void {
    this.transfers.blind(text)
  }

  async consult(text: string): Promise<void> {
    await this.transfers.consult(text)
  }

  complete(): void {
    this.transfers.complete()
  }

  async swap(): Promise<void> {
    await this.transfers.swap()
  }

  async merge(): Promise<void> {
    await this.conference.merge()
  }

  async addParticipant(text: string): Promise<void> {
    await this.conference.add(text)
  }

  async removeParticipant(participant: Participant): Promise<void> {
    await this.conference.remove(participant)
  }

  // Keeps the directory fresh until the returned function is called.
  watchDirectory(): () => void {
    return this.directory.watch()
  }

  // Goes back into a call the page was in before it was loaded again.
  async returnTo(key: string): Promise<void> {
    const [held, shown] = [this.returning.kept(key), this.state.lost.find((call) => call.key === key)]
    if (!held || !shown || shown.busy) return
    shown.busy = true
    this.calls.tones.unlock()
    if (!held.call) return this.returning.askFor(key)
    const isBack = await this.takeBack(held.call)
    if (isBack) this.returning.settle(key)
    else shown.busy = false
  }

  async letGo(key: string): Promise<void> {
    await this.returning.hangUp(key)
  }

  dismiss(): void {
    this.state.notice = null
  }

  // Takes the place of a call's old dialog; false when that failed and may be tried again.
  private async takeBack(kept: KeptCall): Promise<boolean> {
    if (!this.line || !(await this.calls.park())) return false
    const { party, name, direction, since } = kept
    const view = this.calls.add({ direction, party, name, since, state: 'returning' })
    const uri = UserAgent.makeURI(callUri(party, this.line.domain)) ?? this.line.agent.configuration.uri
    let hasEnded = false
    const isSent = await this.invite(view, uri, [`Replaces: ${replaces(kept)}`], (refusal) => {
      hasEnded = isOver(refusal)
      return returnText(refusal)
    })
    if (!isSent) return false
    return new Promise((settle) => {
      const stop = watch(
        () => this.calls.find(view.id)?.state,
        (state) => {
          if (state === 'returning' || state === 'ending') return
          stop()
          settle(state === 'connected' || hasEnded)
        }
      )
    })
  }

  private async call(text: string, consults: number | null): Promise<void> {
    const target = this.target(text)
    if (!target || !this.line) return
    this.state.notice = null
    const view = this.calls.add({ direction: 'outgoing', party: target.number, name: this.nameOf(target.number), state: 'calling', consults })
    await this.invite(view, target.uri, [])
  }

  // False when there is no microphone.
  private async invite(view: CallView, uri: URI, extraHeaders: string[], explain = refusalText): Promise<boolean> {
    const microphone = await this.calls.openMicrophone(view)
    if (!microphone || !this.line) {
      this.calls.forget(view)
      return false
    }
    const sessionDescriptionHandlerOptions: MediaOptions = { microphone }
    const inviter = new Inviter(this.line.agent, uri, { earlyMedia: true, extraHeaders, sessionDescriptionHandlerOptions })
    this.calls.follow(view, inviter).invite(explain)
    return true
  }

  // Null, which was told where that helps, when a text calls nothing.
  private target(text: string): ReturnType<Dialling['target']> {
    const number = dialled(text)
    if (!this.line || number === '') return null
    const uri = UserAgent.makeURI(callUri(number, this.line.domain))
    if (!uri) {
      this.warn('This number cannot be called.')
      return null
    }
    return { number, uri }
  }

  private invited(invitation: Invitation): void {
    if (!canTakeAnother(this.state.calls)) {
      invitation.reject({ statusCode: BUSY }).catch(() => undefined)
      return
    }
    const { uri, displayName } = invitation.remoteIdentity
    const party = uri.user && uri.user !== 'anonymous' ? uri.user : 'Unknown number'
    const isAlone = this.state.calls.length === 0
    const view = this.calls.add({ direction: 'incoming', party, name: displayName === party ? '' : displayName, state: 'incoming' })
    this.calls.follow(view, invitation)
    // The gateway brings back a call this phone had: nobody has to be asked twice.
    if (isAlone && invitation.request.getHeaders('Call-Info').some(answersAtOnce)) {
      const wait = this.returning.settleReclaimed() ? 0 : COURTESY_MS
      setTimeout(() => void this.answer(view.id), wait)
    }
  }

  private registration(registration: Registration): void {
    this.state.registration = registration
    if (registration.state !== 'registered') return
    this.calls.reconnected()
    this.returning.registered()
  }

  private nameOf(number: string): string {
    return this.state.directory.colleagues.find((colleague) => colleague.number === number)?.name ?? ''
  }

  private signedOut(): void {
    for (const view of [...this.state.calls]) this.calls.forget(view)
    this.returning.clear()
    this.gateway = null
    this.secret = ''
    this.state.directory = { state: 'unknown', colleagues: [] }
    this.state.registration = { state: 'signed out' }
    this.state.address = ''
  }

  private inform(text: string): void {
    this.state.notice = { kind: 'information', text }
  }

  private warn(text: string): void {
    this.state.notice = { kind: 'warning', text }
  }
}

// Call-Info with `answer-after=0`, which a phone that is asked so answers by itself.
function answersAtOnce(callInfo: string): boolean {
  return /;\s*answer-after\s*=\s*0\s*(?:[;,]|$)/i.test(callInfo)
}
