/** Of an act that is one of many: `operation/<id>`. */
export interface Via {
  via?: string | undefined
}

/** What stands in the audit beside the actor. */
export const auditVia = ({ via }: Via): { operation?: string } => (via === undefined ? {} : { operation: via })
