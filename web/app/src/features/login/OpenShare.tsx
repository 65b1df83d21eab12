import { useEffect, useRef, useState } from 'react';
import { useAction } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { go } from '../../shared/router.ts';
import { useRefreshSession } from '../../shared/session.tsx';
import { Field } from '../../shared/ui/Field.tsx';
import { Form } from '../../shared/ui/Form.tsx';
import { Failure, Loading } from '../../shared/ui/Notice.tsx';
import { Page } from '../../shared/ui/Page.tsx';

type Opened = { status: 'pin' } | { status: 'open'; study: string; series: string | null };

/** Opens what somebody shared by a link. */
export function OpenShare({ secret }: { secret: string }) {
  const [pin, setPin] = useState('');
  const refresh = useRefreshSession();
  const action = useAction<string | undefined, Opened>((shownPin) =>
    send('POST', 'api/shares/open', shownPin === undefined ? { secret } : { secret, pin: shownPin }),
  );
  const open = (shownPin?: string) => {
    action.mutate(shownPin, {
      onSuccess: (answer) => {
        if (answer.status === 'open') {
          void refresh().then(() =>
            go(`/study/${answer.study}${answer.series === null ? '' : `/series/${answer.series}`}`),
          );
        }
      },
    });
  };
  // Once: opening counts as a use.
  const isAsked = useRef(false);
  useEffect(() => {
    if (!isAsked.current) {
      isAsked.current = true;
      open();
    }
  });
  const needsPin = action.data?.status === 'pin' || action.variables !== undefined;
  if (!needsPin) {
    return (
      <Page title="A shared study">{action.error === null ? <Loading /> : <Failure error={action.error} />}</Page>
    );
  }
  return (
    <Page title="A shared study" lead="Whoever sent you the link has also a PIN for you.">
      <Form
        submit="Open"
        isBusy={action.isPending}
        error={action.error}
        isReady={pin !== ''}
        onSubmit={() => open(pin)}
      >
        <Field label="PIN" autoComplete="off" required value={pin} onChange={(event) => setPin(event.target.value)} />
      </Form>
    </Page>
  );
}
