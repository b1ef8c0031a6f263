// One call: a SIP session, what the agent may do with it, and what it tells. The microphone is opened before the call is made or
// answered, so that a missing one costs neither.

import { Invitation, Inviter, RequestPendingError, SessionState, Web, type Session, type URI } from 'sip.js'
import type { PrackableIncomingResponseWithSession, Session as Dialog } from 'sip.js/lib/core'

import { cancelText, refusalText, type Refusal } from './causes'
import { infoBody, press } from './digits'
import { answerHolds, offerHolds } from './direction'
import { referTo, type DialogIds } from './replaces'
import { Renegotiation, type Outcome } from './renegotiation'
import { progressOf } from './sipfrag'

export interface CallListener {
  ringing(): void
  // The other side can be heard before it answers.
  earlyMedia(): void
  connected(): void
  // The remote sound, as soon as there is some.
  sound(stream: MediaStream): void
  // The gateway holds the call, or does so no longer.
  heldByGateway(held: boolean): void
  // The browser's packets do not get through any more.
  mediaLost(): void
  // The other side was not handed on: it is still here.
  transferFailed(why: string): void
  // `why` is empty when nobody needs to be told.
  ended(why: string): void
}

// What a session asks of the line's media: the microphone of this call.
export interface MediaOptions extends Web.SessionDescriptionHandlerOptions {
  microphone?: MediaStream
}

const BUSY = 486

export class Call {
  private readonly session: Session
  private readonly listener: CallListener
  private readonly changes: Renegotiation
  private held = false
  private why = ''
  private gaveUp = false
  private heard = false
  // The dialog of a call that rings.
  private early: Dialog | undefined

  constructor(session: Session, listener: CallListener) {
    this.session = session
    this.listener = listener
    this.changes = new Renegotiation(session instanceof Inviter)
    session.delegate = {
      // A cancelled invitation was never answered.
      ...(session instanceof Invitation && { onCancel: (cancel) => this.cancelled(cancel.request.getHeaders('Reason')) }),
      onBye: (bye) => {
        bye.accept().catch(() => undefined)
        this.why ||= 'The other side hung up.'
      },
      onInvite: (_request, _response, status) => {
        if (status >= 300) return
        const offer = this.connection?.remoteDescription?.sdp
        if (offer !== undefined) listener.heldByGateway(offerHolds(offer))
      },
      onSessionDescriptionHandler: () => this.listen()
    }
    session.stateChange.addListener((state) => {
      if (state === SessionState.Established) {
        this.listen()
        listener.connected()
      }
      // SIP.js hands over a refusal just after this state, and the refusal says why.
      if (state === SessionState.Terminated) queueMicrotask(() => listener.ended(this.gaveUp ? '' : this.why))
    })
  }

  // What names the call's dialog, as soon as somebody rings.
  get dialog(): DialogIds | null {
    const dialog = this.session.dialog ?? this.early
    return dialog ? { callId: dialog.callId, localTag: dialog.localTag, remoteTag: dialog.remoteTag } : null
  }

  // Until the media connection works again.
  get isSilent(): boolean {
    const state = this.connection?.iceConnectionState
    return state === 'disconnected' || state === 'failed'
  }

  // `explain` says why it came to nothing.
  invite(explain: (refusal: Refusal) => string = refusalText): void {
    if (!(this.session instanceof Inviter)) return
    const failed = (error: unknown) => {
      this.why = `The call could not be made: ${error instanceof Error ? error.message : String(error)}`
      if (this.session.state === SessionState.Initial) this.listener.ended(this.why)
    }
    this.session
      .invite({
        requestDelegate: {
          onProgress: (response) => {
            const { message, session } = response as PrackableIncomingResponseWithSession
            this.early = session
            if (message.body) {
              this.listen()
              this.listener.earlyMedia()
            } else if (message.statusCode === 180) this.listener.ringing()
          },
          onReject: ({ message }) => {
            const [status, phrase] = [message.statusCode ?? 0, message.reasonPhrase ?? '']
            this.why = explain({ status, phrase, reasons: message.getHeaders('Reason') })
          }
        }
      })
      .catch(failed)
  }

  accept(microphone: MediaStream): void {
    if (!(this.session instanceof Invitation)) return
    const sessionDescriptionHandlerOptions: MediaOptions = { microphone }
    // When a CANCEL overtakes it, it never settles: the state tells.
    this.session.accept({ sessionDescriptionHandlerOptions }).catch((error: unknown) => {
      this.why = `The call could not be answered: ${error instanceof Error ? error.message : String(error)}`
    })
  }

  // Ends the call in whatever state it is: gives up, rejects or hangs up.
  hangUp(): void {
    const { session } = this
    const ignore = () => undefined
    this.gaveUp = true
    if (session.state === SessionState.Established) session.bye().catch(ignore)
    else if (session instanceof Inviter) session.cancel().catch(ignore)
    else if (session instanceof Invitation) session.reject({ statusCode: BUSY }).catch(ignore)
  }

  press(key: string): void {
    const sender = this.connection?.getSenders().find((candidate) => candidate.dtmf)?.dtmf
    if (press(sender, key)) return
    const { contentType, content } = infoBody(key)
    const body = { contentDisposition: 'render', contentType, content }
    this.session.info({ requestOptions: { body } }).catch(() => undefined)
  }

  // Puts the other side on hold or takes it back. Rejects with what to tell the agent.
  async hold(hold: boolean): Promise<void> {
    const status = await this.changes.run(() => this.renegotiate({ hold }))
    if (status >= 300) throw new Error(hold ? 'The call could not be put on hold.' : 'The call could not be taken back.')
    this.held = hold
  }

  // Looks for another way to the gateway, as after a change of network (RFC 8445 §2.4); the call stays as it is.
  async restartMedia(): Promise<boolean> {
    const status = await this.changes.run(() => this.renegotiate({ hold: this.held, offerOptions: { iceRestart: true } }))
    return status < 300
  }

  // Hands the other side on to `target` (RFC 3515), a number or whom another call is with, which may still ring (RFC 3891 §7.1). The
  // gateway ends the call when the target has taken it.
  transfer(target: URI | Call): void {
    const destination = target instanceof Call ? target.asTarget() : target
    if (!destination) return this.listener.transferFailed('That call has ended.')
    const refused = (status: number, phrase: string) =>
      this.listener.transferFailed(refusalText({ status, phrase, reasons: [] }))
    this.session
      .refer(destination, {
        requestDelegate: { onReject: ({ message }) => refused(message.statusCode ?? 0, message.reasonPhrase ?? '') },
        onNotify: (notification) => {
          notification.accept().catch(() => undefined)
          const progress = progressOf(notification.request.body)
          if (!progress || progress.status < 200) return
          if (progress.status < 300) this.why = 'The call was handed on.'
          else refused(progress.status, progress.phrase)
        }
      })
      .catch(() => this.listener.transferFailed('The gateway cannot be reached.'))
  }

  private asTarget(): URI | null {
    const { dialog } = this
    return dialog && referTo(this.session.remoteIdentity.uri, dialog)
  }

  // One re-INVITE; what it says of hold is said again in answers to the gateway's own.
  private async renegotiate(options: MediaOptions): Promise<Outcome> {
    const { session } = this
    const settle = (hold: boolean) => {
      session.sessionDescriptionHandlerOptionsReInvite = { hold } as Web.SessionDescriptionHandlerOptions
    }
    if (this.connection?.signalingState !== 'stable') return 'pending'
    const outcome = await new Promise<Outcome>((done) => {
      session
        .invite({
          sessionDescriptionHandlerOptions: options,
          requestDelegate: { onAccept: () => done(200), onReject: ({ message }) => done(message.statusCode ?? 500) }
        })
        .catch((error: unknown) => done(error instanceof RequestPendingError ? 'pending' : 500))
    })
    settle(typeof outcome === 'number' && outcome < 300 ? options.hold === true : this.held)
    const [offer, answer] = [this.connection?.localDescription?.sdp, this.connection?.remoteDescription?.sdp]
    if (outcome === 200 && offer !== undefined && answer !== undefined) {
      const holds = answerHolds(offer, answer)
      if (holds !== null) this.listener.heldByGateway(holds)
    }
    return outcome
  }

  private cancelled(reasons: readonly string[]): void {
    this.why = cancelText(reasons)
  }

  private get handler(): Web.SessionDescriptionHandler | undefined {
    return this.session.sessionDescriptionHandler as Web.SessionDescriptionHandler | undefined
  }

  private get connection(): RTCPeerConnection | undefined {
    return this.handler?.peerConnection
  }

  private listen(): void {
    if (this.heard || !this.handler) return
    this.heard = true
    this.listener.sound(this.handler.remoteMediaStream)
    const { connection } = this
    connection?.addEventListener('iceconnectionstatechange', () => {
      if (this.isSilent) this.listener.mediaLost()
    })
  }
}
