import type { DriverName } from '@hypercode/contracts'
import type { Handle } from './driver.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isLaunchId = (text: string): boolean => UUID.test(text)

/** Launch ids become names of folders, containers and pods: nothing else may be in them. */
export function checkLaunchId(text: string): string {
  if (!isLaunchId(text)) throw new RangeError(`${JSON.stringify(text)} is no launch id`)
  return text.toLowerCase()
}

/** What a driver may touch: the launches of its own kind and host. */
export interface Ownership {
  isForeign(handle: Handle): boolean
  /** The launch id. @throws when it belongs to somebody else */
  require(handle: Handle): string
}

export function ownershipOf(name: DriverName, host: string): Ownership {
  const isForeign = (handle: Handle): boolean => handle.driver !== name || handle.host !== host
  return {
    isForeign,
    require: (handle) => {
      if (isForeign(handle)) throw new Error(`launch ${handle.launchId} belongs to ${handle.driver} of ${handle.host}`)
      return checkLaunchId(handle.launchId)
    },
  }
}
