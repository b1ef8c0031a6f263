import { holds } from '../lib/holds.mjs'

holds('jssip')
