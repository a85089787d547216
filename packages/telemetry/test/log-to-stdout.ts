import { createLogger, withContext } from '../src/index.ts'

const log = createLogger({ service: 'probe', level: 'info' })
withContext({ correlationId: 'c-1' }, () => log.info('started'))
log.debug('not at this level')
log.fatal('gone')
process.exit(0)
