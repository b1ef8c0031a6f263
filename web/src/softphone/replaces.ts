// How a dialog is named to the gateway when somebody is to take its place (RFC 3891), in the order of who is told: the gateway's tag is
// the to-tag, ours the from-tag.

import { URI } from 'sip.js'

export interface DialogIds {
  callId: string
  localTag: string
  remoteTag: string
}

export function replaces({ callId, localTag, remoteTag }: DialogIds): string {
  return `${callId};to-tag=${remoteTag};from-tag=${localTag}`
}

// Where a REFER sends whoever is to be put through to the other side of a dialog: to `party`, in the place of that dialog.
export function referTo(party: URI, dialog: DialogIds): URI {
  return new ReferTo(party.scheme, party.user ?? '', party.host, party.port, undefined, { Replaces: [encodeURIComponent(replaces(dialog))] })
}

// In brackets, without which its headers would end the URI (RFC 3261 §20).
class ReferTo extends URI {
  override toString(): string {
    return `<${super.toString()}>`
  }
}
