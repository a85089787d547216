import { AppError } from '@hypercode/http'

/** For the lanes: more work waits than this process should promise to do. */
export const tooBusy = (waiting: number): AppError =>
  new AppError('unavailable', { detail: `${waiting} requests of this kind wait already.`, retryAfterMs: 1000 })
