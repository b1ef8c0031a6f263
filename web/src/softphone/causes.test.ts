import { expect, test } from 'vitest'

import { cancelText, causeOf, isOver, refusalText, registrationText, returnText } from './causes'

test('the cause is read from the Reason of its protocol', () => {
  const reasons = ['SIP;cause=486;text="Busy; really"', 'q.850 ; cause = 17 ;text="User busy"']
  expect(causeOf('SIP', reasons)).toBe(486)
  expect(causeOf('Q.850', reasons)).toBe(17)
  expect(causeOf('Q.850', ['SIP;cause=200'])).toBeNull()
  expect(causeOf('SIP', [''])).toBeNull()
})

test('a Q.850 cause says more than the status', () => {
  expect(refusalText({ status: 503, phrase: 'Service Unavailable', reasons: ['Q.850;cause=1'] })).toBe('This number does not exist.')
  expect(refusalText({ status: 480, phrase: 'Temporarily Unavailable', reasons: ['Q.850;cause=127'] })).toBe(
    'Not available at the moment.'
  )
})

test('an unknown status is told in its own words', () => {
  expect(refusalText({ status: 499, phrase: 'Strange', reasons: [] })).toBe('The call failed: 499 Strange')
})

test('a call that a colleague took is told apart from one that was given up', () => {
  expect(cancelText(['SIP;cause=200;text="Call completed elsewhere"'])).toBe('Answered by someone else.')
  expect(cancelText([])).toBe('The caller hung up.')
})

test('only refusals that trying again cannot change end the sign-in', () => {
  expect(registrationText(403)).not.toBeNull()
  expect(registrationText(503)).toBeNull()
})

test('a call to return to is over when the gateway does not know it any more, and not when it is only unreachable', () => {
  const refusal = (status: number) => ({ status, phrase: '', reasons: [] })
  expect([481, 603].map((status) => returnText(refusal(status)))).toEqual(['The call has ended.', 'The call has ended.'])
  expect([481, 603, 404, 487].every((status) => isOver(refusal(status)))).toBe(true)
  expect([403, 408, 500, 503].some((status) => isOver(refusal(status)))).toBe(false)
  expect(returnText(refusal(503))).toBe(refusalText(refusal(503)))
})
