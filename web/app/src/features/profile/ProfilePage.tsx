import { useMe } from '../../shared/session.tsx';
import { GrantList } from '../../shared/ui/GrantList.tsx';
import { Page, Section } from '../../shared/ui/Page.tsx';
import { OwnTokens } from './OwnTokens.tsx';
import { Passkeys } from './Passkeys.tsx';
import { PasswordSection } from './PasswordSection.tsx';
import { Sessions } from './Sessions.tsx';
import { TotpSection } from './TotpSection.tsx';

/** One's own account. */
export function ProfilePage() {
  const { person, grants } = useMe();
  if (person === null) {
    return null;
  }
  return (
    <Page title={person.name || person.login} lead={`Login ${person.login}${roles([...person.roles, ...person.external_roles])}`}>
      <div className="cards">
        <Section title="What you may do, and why">
          <GrantList grants={grants} none="You may not do anything yet: an administrator gives you a role." />
        </Section>
        <PasswordSection person={person} />
        <TotpSection person={person} />
        <Passkeys />
        <Sessions />
        <OwnTokens />
      </div>
    </Page>
  );
}

function roles(names: readonly string[]): string {
  return names.length === 0 ? '' : ` · ${names.join(', ')}`;
}
