import type { Right, Scope } from './api/types.ts';

/** What each right allows, for people. */
export const RIGHTS: { right: Right; label: string; hint: string }[] = [
  { right: 'view', label: 'View', hint: 'find studies and look at their images' },
  { right: 'download', label: 'Download', hint: 'get the stored objects themselves' },
  { right: 'store', label: 'Store', hint: 'add instances' },
  { right: 'modify', label: 'Modify', hint: 'change attributes, labels and identities' },
  { right: 'delete', label: 'Delete', hint: 'delete and restore' },
  { right: 'export', label: 'Export', hint: 'to media, files and other systems' },
  { right: 'share', label: 'Share', hint: 'give others access by a link' },
  { right: 'de-identify', label: 'De-identify', hint: 'make copies without identity' },
  { right: 'report', label: 'Report', hint: 'write reports' },
  { right: 'sign', label: 'Sign', hint: 'sign reports' },
  { right: 'administer', label: 'Administer', hint: 'look after people, roles, peers and settings' },
  { right: 'audit', label: 'Audit', hint: 'read the audit trail and review emergency access' },
];

/** Whether a right looks at the scope: to look after people or the audit trail is not about studies. */
export function isAboutStudies(right: Right): boolean {
  return right !== 'administer' && right !== 'audit';
}

/** The studies of a scope, in words. */
export function scopeInWords(scope: Scope, onlyOwnStudies = false): string {
  const anyOf = (what: string, values: readonly string[]) =>
    values.length > 0 ? [`${what} ${values.join(' or ')}`] : [];
  const conditions = [
    ...anyOf('of the site', scope.sites),
    ...anyOf('of the department', scope.departments),
    ...anyOf('with the modality', scope.modalities),
    ...anyOf('with the label', scope.labels),
    ...anyOf('of the patient', scope.patients.map((patient) => patient.patient_id)),
    ...anyOf('ordered or performed by', scope.own_names),
    ...(scope.studies.length > 0 ? [`among ${scope.studies.length} named`] : []),
    ...(onlyOwnStudies ? ['that they ordered, performed or were given'] : []),
  ];
  const restricted = scope.includes_restricted ? 'restricted ones too' : 'without restricted ones';
  if (conditions.length === 0) {
    return `every study, ${restricted}`;
  }
  return `studies ${conditions.join(', ')}, ${restricted}`;
}
