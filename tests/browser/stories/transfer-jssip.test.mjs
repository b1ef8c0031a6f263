import { transfers } from '../lib/transfers.mjs'

transfers('jssip', 'sipjs')
