/** What `${mission.…}` may name. */
export const MISSION_MEMBERS: readonly string[] = ['id', 'tenantId', 'crew', 'correlationId', 'input']
