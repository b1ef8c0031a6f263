import { expect, test } from 'vitest'

import { cancelText, causeOf, refusalText, registrationText } from './causes'

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
