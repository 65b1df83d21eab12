import type { Right } from '../shared/api/types.ts';

/** A page that the navigation offers. */
export type Entry = {
  page: string;
  label: string;
  /** Who sees it: whoever has one of these rights; everybody without any. */
  rights: readonly Right[];
  /** A route of the server that the page needs. */
  needs?: string;
  /** Whether it is about people who log in, of whom the demo has none. */
  isAboutPeople: boolean;
};

export const ENTRIES: readonly Entry[] = [
  { page: '', label: 'Studies', rights: [], isAboutPeople: false },
  { page: 'people', label: 'People', rights: ['administer'], isAboutPeople: true },
  { page: 'roles', label: 'Roles', rights: ['administer'], isAboutPeople: true },
  { page: 'peers', label: 'Peers', rights: ['administer'], needs: '/api/peers', isAboutPeople: false },
  { page: 'tokens', label: 'Tokens and shares', rights: ['administer', 'share'], isAboutPeople: true },
  { page: 'audit', label: 'Audit', rights: ['audit'], isAboutPeople: false },
  { page: 'emergency', label: 'Emergency access', rights: [], isAboutPeople: true },
];
