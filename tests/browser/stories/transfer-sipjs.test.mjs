import { transfers } from '../lib/transfers.mjs'

transfers('sipjs', 'jssip')
