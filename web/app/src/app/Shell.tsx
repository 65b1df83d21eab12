import { useState } from 'react';
import { AuditPage } from '../features/audit/AuditPage.tsx';
import { EmergencyPage } from '../features/emergency/EmergencyPage.tsx';
import { EmergencyBanner } from '../features/emergency/EmergencyBanner.tsx';
import { ExplanationPage } from '../features/people/ExplanationPage.tsx';
import { PeoplePage } from '../features/people/PeoplePage.tsx';
import { PersonPage } from '../features/people/PersonPage.tsx';
import { PeersPage } from '../features/peers/PeersPage.tsx';
import { ProfilePage } from '../features/profile/ProfilePage.tsx';
import { RolesPage } from '../features/roles/RolesPage.tsx';
import { StudiesPage } from '../features/studies/StudiesPage.tsx';
import { Upload } from '../features/studies/Upload.tsx';
import { TokensPage } from '../features/tokens/TokensPage.tsx';
import { useHasRoute } from '../shared/api/hooks.ts';
import { send } from '../shared/api/request.ts';
import type { Route } from '../shared/router.ts';
import { useHolds, useMe } from '../shared/session.tsx';
import { Empty } from '../shared/ui/Notice.tsx';
import { Page } from '../shared/ui/Page.tsx';
import { ThemeButton } from './Doorway.tsx';
import icon from './icon.svg';
import { ENTRIES } from './pages.ts';

/** The header, the banners, and the page that the address names. */
export function Shell({ route, isDemo }: { route: Route; isDemo: boolean }) {
  const { person } = useMe();
  const holds = useHolds();
  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      {isDemo && (
        <p className="banner demo">
          Demo: nobody has to log in, everybody may do everything. For made-up data on this machine only.
        </p>
      )}
      {person !== null && <EmergencyBanner />}
      <header className="bar">
        <a className="brand" href="#/">
          <img src={icon} alt="" width="28" height="28" />
          <span>Gantry</span>
        </a>
        <Navigation page={route.parts[0] ?? ''} isDemo={isDemo} />
        <div className="bar-end">
          <Whoami />
          <ThemeButton />
        </div>
      </header>
      {holds('store') && <Upload />}
      <main id="main" tabIndex={-1}>
        <Content route={route} />
      </main>
    </>
  );
}

/** The address is the page, so a link within it moves the focus itself. */
function skip(event: React.MouseEvent): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Navigation({ page, isDemo }: { page: string; isDemo: boolean }) {
  const { person } = useMe();
  const holds = useHolds();
  const hasRoute = useHasRoute();
  const [isOpen, setIsOpen] = useState(false);
  const entries = ENTRIES.filter(
    (entry) =>
      (entry.rights.length === 0 || entry.rights.some(holds)) &&
      (entry.needs === undefined || hasRoute('GET', entry.needs)) &&
      (!entry.isAboutPeople || (!isDemo && person !== null)),
  );
  if (entries.length < 2) {
    return null;
  }
  const present = page === 'study' ? '' : page;
  return (
    <nav aria-label="Pages" className={isOpen ? 'pages open' : 'pages'}>
      <button
        type="button"
        className="quiet pages-button"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
      >
        Menu
      </button>
      <ul>
        {entries.map((entry) => (
          <li key={entry.page}>
            <a
              href={`#/${entry.page}`}
              aria-current={entry.page === present ? 'page' : undefined}
              onClick={() => setIsOpen(false)}
            >
              {entry.label}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Whoami() {
  const { person, is_demo: isDemo } = useMe();
  if (isDemo === true) {
    return null;
  }
  const logOut = async () => {
    try {
      await send('POST', 'api/logout');
    } finally {
      // Nothing of what was seen stays in memory.
      location.hash = '/';
      location.reload();
    }
  };
  return (
    <>
      {person === null ? (
        <span className="weak">by a link</span>
      ) : (
        <a className="whoami" href="#/profile" title="Your account">
          {person.name || person.login}
        </a>
      )}
      <button type="button" className="quiet" onClick={() => void logOut()}>
        Log out
      </button>
    </>
  );
}

function Content({ route }: { route: Route }) {
  const { person } = useMe();
  const holds = useHolds();
  const [page, id = ''] = route.parts;
  const isAdministrator = holds('administer');
  switch (page) {
    case undefined:
    case 'study':
      return <StudiesPage route={route} />;
    case 'profile':
      return person === null ? <NoSuchPage /> : <ProfilePage />;
    case 'people':
      return isAdministrator ? id === '' ? <PeoplePage /> : <PersonPage key={id} id={id} /> : <NoSuchPage />;
    case 'roles':
      return isAdministrator ? <RolesPage /> : <NoSuchPage />;
    case 'peers':
      return isAdministrator ? <PeersPage /> : <NoSuchPage />;
    case 'tokens':
      return <TokensPage />;
    case 'audit':
      return holds('audit') ? <AuditPage key={route.text} query={route.query} /> : <NoSuchPage />;
    case 'emergency':
      return person === null ? <NoSuchPage /> : <EmergencyPage query={route.query} />;
    case 'why':
      return <ExplanationPage key={route.text} study={id} query={route.query} />;
    default:
      return <NoSuchPage />;
  }
}

function NoSuchPage() {
  return (
    <Page title="No such page">
      <Empty>
        There is nothing here for you. <a href="#/">To the studies</a>
      </Empty>
    </Page>
  );
}
