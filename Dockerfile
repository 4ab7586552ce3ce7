FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /perennial ./cmd/perennial

FROM alpine:3.22
RUN adduser -D -u 10001 perennial && install -d -o perennial /var/lib/perennial
COPY --from=build /perennial /usr/local/bin/perennial
USER perennial
EXPOSE 8080
ENV PERENNIAL_ADDR=0.0.0.0:8080
# A server's own: enrolments on their way to the database. Keep it in a volume, one for each server.
ENV PERENNIAL_STATE=/var/lib/perennial/state
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD wget -q -O /dev/null http://127.0.0.1:8080/readyz
ENTRYPOINT ["perennial"]
CMD ["serve"]
