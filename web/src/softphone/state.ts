// What the phone shows. Plain values; nothing here acts.

export type Registration =
  | { state: 'signed out' }
  | { state: 'connecting' }
  | { state: 'registered' }
  // The gateway cannot be reached or cannot take the registration now; the phone keeps trying.
  | { state: 'reconnecting'; why: string }

export type CallState =
  // Opening the microphone and sending the call.
  | 'calling'
  // The other side rings.
  | 'ringing'
  // Somebody calls us.
  | 'incoming'
  | 'answering'
  | 'connected'
  | 'ending'

export interface CallView {
  direction: 'outgoing' | 'incoming'
  // Number or name of the other side.
  party: string
  // The other side's name, where it gave one.
  name: string
  state: CallState
  // When it was answered, in ms since the epoch.
  since: number | null
  muted: boolean
  // The other side hears music.
  held: boolean
  // To whom the other side is being handed on, while that is under way.
  transfer: string | null
  // The digits pressed in this call.
  digits: string
}

export interface Notice {
  kind: 'information' | 'warning'
  text: string
}

export interface PhoneState {
  registration: Registration
  // The agent's own address, once signed in.
  address: string
  call: CallView | null
  notice: Notice | null
}
