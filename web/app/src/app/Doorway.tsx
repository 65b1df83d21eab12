import { Login } from '../features/login/Login.tsx';
import { PasswordLink } from '../features/login/PasswordLink.tsx';
import { SetUp } from '../features/login/SetUp.tsx';
import { OpenShare } from '../features/login/OpenShare.tsx';
import type { ServerError } from '../shared/api/request.ts';
import type { LoginWays } from '../shared/api/types.ts';
import type { Route } from '../shared/router.ts';
import { switchTheme } from '../shared/theme.ts';
import { Failure, Loading } from '../shared/ui/Notice.tsx';
import icon from './icon.svg';

/** What is shown to those who have not logged in. */
export function Doorway({
  route,
  ways,
  failure,
}: {
  route: Route;
  ways: LoginWays | undefined;
  failure: ServerError | null;
}) {
  return (
    <div className="doorway">
      <header className="bar">
        <a className="brand" href="#/">
          <img src={icon} alt="" width="28" height="28" />
          <span>Gantry</span>
        </a>
        <div className="bar-end">
          <ThemeButton />
        </div>
      </header>
      <main id="main">
        <div className="card narrow">
          {ways === undefined ? <Waiting failure={failure} /> : <Way route={route} ways={ways} />}
        </div>
      </main>
    </div>
  );
}

export function ThemeButton() {
  return (
    <button
      type="button"
      className="quiet icon"
      aria-label="Change between light and dark"
      title="Light or dark"
      onClick={switchTheme}
    >
      ◐
    </button>
  );
}

function Waiting({ failure }: { failure: ServerError | null }) {
  return failure === null ? <Loading /> : <Failure error={failure} />;
}

function Way({ route, ways }: { route: Route; ways: LoginWays }) {
  const [page, secret = ''] = route.parts;
  if (page === 'set-up') {
    return <SetUp secret={secret} ways={ways} />;
  }
  if (page === 'password') {
    return <PasswordLink secret={secret} />;
  }
  if (page === 'share') {
    return <OpenShare key={secret} secret={secret} />;
  }
  return <Login ways={ways} />;
}
