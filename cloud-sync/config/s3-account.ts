import { z } from "zod";
import { setting } from "../../shared/core/setting.ts";

/** Where in an S3 server, and by which account: of every slice that may name one. */
export const s3Account = {
  bucket: z.string().min(3).max(63).optional().meta(setting("Bucket", "it has to exist")),
  region: z.string().default("us-east-1").meta(setting("Region", "that requests are signed for")),
  accessKeyId: z.string().optional().meta(setting("Access key id", "of the S3 account")),
  secretAccessKey: z.string().optional().meta(setting("Secret access key", "of the S3 account")),
  forcePathStyle: z
    .boolean()
    .default(true)
    .meta(setting("Path style", "the bucket in the path: most servers but Amazon's want it")),
};

interface Place {
  readonly folder?: string | undefined;
  readonly url?: string | undefined;
  readonly bucket?: string | undefined;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
}

/** A folder or a server, and of that the whole account. */
export function wholeAccount(place: Place, context: z.RefinementCtx): void {
  const { folder, url, bucket, accessKeyId, secretAccessKey } = place;
  const wrong = (message: string): void => context.addIssue({ code: "custom", message });
  if (url === undefined) return;
  if (folder !== undefined) wrong("either a folder or a url");
  if ([bucket, accessKeyId, secretAccessKey].includes(undefined)) {
    wrong("an S3 server needs bucket, accessKeyId and secretAccessKey");
  }
}
