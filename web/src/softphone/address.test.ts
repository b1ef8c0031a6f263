import { describe, expect, test } from 'vitest'

import { callUri, dialled, parseAddress } from './address'

describe('an agent signs in', () => {
  test.each([
    ['sip:1000@phone.example.com', '1000', 'phone.example.com'],
    ['SIP:1000@phone.example.com', '1000', 'phone.example.com'],
    ['  anna.meier@10.0.0.1 ', 'anna.meier', '10.0.0.1'],
    ['1000@[::1]', '1000', '[::1]'],
    ['1000', '1000', 'here.example.com']
  ])('as %s', (text, user, domain) => {
    expect(parseAddress(text, 'here.example.com')).toEqual({ user, domain })
  })

  test.each(['', ' ', '@example.com', '1000@', 'two words@example.com', '1000@a b', '1000@x;y=z'])('but not as "%s"', (text) => {
    expect(parseAddress(text, 'here.example.com')).toBeNull()
  })
})

describe('a number is dialled', () => {
  test.each([
    ['+49 (30) 123-456', '+4930123456'],
    ['030/12 34.56', '030123456'],
    [' 9196 ', '9196'],
    ['*97#', '*97#'],
    ['front-desk', 'front-desk']
  ])('%s as %s', (text, number) => {
    expect(dialled(text)).toBe(number)
  })

  test.each([
    ['+4930123456', 'sip:+4930123456@example.com'],
    ['*97#', 'sip:*97%23@example.com'],
    ['a@b', 'sip:a%40b@example.com']
  ])('%s to %s', (number, uri) => {
    expect(callUri(number, 'example.com')).toBe(uri)
  })
})
