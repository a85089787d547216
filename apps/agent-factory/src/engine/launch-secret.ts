import { createHmac } from 'node:crypto'

/**
 * Client secrets of launches, each for one start. They are derived from the launch id, so that every replica can go on with a start that
 * another one began, and none of them is stored.
 */
export const createLaunchSecret =
  (factorySecret: string) =>
  (launchId: string): string =>
    createHmac('sha256', factorySecret).update(`launch/${launchId}`).digest('base64url')
